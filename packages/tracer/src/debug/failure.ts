/** What a debug build tells of a failure: the operation as the user wrote it, its line, and what its operands were. */
import { type HostTensor, isScalarOp, nodeAt } from "@sinter/ir";
import { atSite, type Watched, type WatchSite } from "@sinter/passes";
import { describe, locText } from "../errors.ts";
import type { Asked, Asking } from "./asking.ts";
import { describeNode, offsetOf, placeText } from "./describe.ts";
import { BoundsError, type FailureDetails, NonFiniteError } from "./errors.ts";
import { numberText, positionOf, summary } from "./statistics.ts";

type Failed = Omit<FailureDetails, "name" | "op" | "backward">;

/**
 * The error for a code that a watched program gave. `other`: a check of the user's that failed too. `call`: what it was
 * given, and how its calls of the host were answered.
 */
export function* watchedFailure(
  of: Watched,
  code: number,
  other: Error | undefined,
  call: Pick<Asked, "args" | "host">,
): Asking<NonFiniteError | BoundsError> {
  const site = of.sites[code - 1]!;
  const node = nodeAt(of.graph, site.path);
  const { shown, loc, ...what } = describeNode(of.graph, site.path);
  const failed = yield* lookedAt(of, site, code, call);
  const details = failed === undefined ? undefined : { ...what, ...failed };
  const lines = [site.kind === "bounds" ? boundsLine(site, failed) : madeLine(node.op, failed, site)];
  if (failed !== undefined && site.kind === "nonFinite") {
    lines.push(`result ${summary(failed.results[site.result]!)}`);
    failed.operands.forEach((operand, i) => {
      const which = failed.operands.length === 1 ? "operand" : `operand ${i}`;
      lines.push(`${which} ${summary(operand)}`);
    });
  }
  lines.push(`${placeText(of.graph, site.path, failed?.rounds ?? [])}; no variable has changed`);
  if (other !== undefined)
    lines.push(`a check of the function failed in the same call: ${other.message.split("\n")[0]}`);
  const message = `${of.graph.name}: ${shown} ${lines.join("\n  ")}`;
  const error =
    site.kind === "bounds"
      ? new BoundsError(message, locText(loc), details)
      : new NonFiniteError(message, locText(loc), details);
  if (other !== undefined) error.cause = other;
  return error;
}

/** Runs the program again to see what the node was given; undefined where that ended otherwise. */
function* lookedAt(
  of: Watched,
  site: WatchSite,
  code: number,
  call: Pick<Asked, "args" | "host">,
): Asking<Failed | undefined> {
  const looking = atSite(of, code);
  if (looking === undefined) return undefined;
  const [again, ...found] = yield { ...call, graph: looking.graph };
  if (again!.data[0] !== code) return undefined;
  const rounds = found.slice(0, looking.rounds).map((round) => round.data[0]!);
  const count = nodeAt(of.graph, site.path).operands.length;
  const operands = found.slice(looking.rounds, looking.rounds + count);
  const results = found.slice(looking.rounds + count);
  const [tensor, isBad] =
    site.kind === "bounds"
      ? [operands[site.bound.operand]!, (x: number) => x < 0 || x > Number(site.bound.last)]
      : [results[site.result]!, worseThan(operands, isScalarOp(nodeAt(of.graph, site.path).op))];
  const offset = Math.max(0, tensor.data.findIndex(isBad));
  return { rounds, element: positionOf(tensor.shape, offset), operands, results };
}

/** How bad a number is: finite, infinite, NaN. */
const badness = (x: number): number => (Number.isNaN(x) ? 2 : Number.isFinite(x) ? 0 : 1);

/** Whether an element of a result is worse than all that it was made of. */
function worseThan(operands: readonly HostTensor[], elementwise: boolean): (x: number, i: number) => boolean {
  if (!elementwise) return (x) => badness(x) > 0;
  return (x, i) => operands.every(({ shape, data }) => badness(data[shape.length === 0 ? 0 : i]!) < badness(x));
}

function madeLine(op: string, failed: Failed | undefined, site: WatchSite & { kind: "nonFinite" }): string {
  if (failed === undefined) return "makes NaN or an infinity";
  const result = failed.results[site.result]!;
  const at = offsetOf(result.shape, failed.element);
  const position = result.shape.length === 0 ? "" : ` at [${failed.element.join(", ")}]`;
  const given = isScalarOp(op)
    ? `, of ${failed.operands.map(({ shape, data }) => numberText(data[shape.length === 0 ? 0 : at]!)).join(" and ")}`
    : "";
  return `gives ${result.data[at]!}${position}${given}`;
}

function boundsLine({ bound }: WatchSite & { kind: "bounds" }, failed: Failed | undefined): string {
  if (failed === undefined) return `is given a position outside axis ${bound.axis}`;
  const [index, target] = [failed.operands[bound.operand]!, failed.operands[bound.of]!];
  const size = target.shape[bound.axis]!;
  const last = Number(bound.last);
  const value = index.data[offsetOf(index.shape, failed.element)]!;
  const at = index.shape.length === 0 ? "" : ` (element [${failed.element.join(", ")}] of its indices)`;
  const window = size - last;
  const of = `axis ${bound.axis} of ${describe(target)}`;
  const told =
    window === 1
      ? `takes index ${value}${at}, but ${of} has positions 0 to ${last}`
      : `starts at ${value}${at}, but a window of ${window} in ${of} can start at 0 to ${last}`;
  return `${told}. Without debug it would be taken for ${Math.max(0, Math.min(last, value))}`;
}
