/** What a user is told where a program and the reference evaluator disagree. */
import { closeEnough, type Graph, type Tolerance } from "@sinter/ir";
import { describe, locText } from "../errors.ts";
import { describeNode, placeText } from "./describe.ts";
import { VerifyError } from "./errors.ts";
import { numberText, positionOf } from "./statistics.ts";
import type { Mismatch } from "./verify.ts";

export function mismatchError(graph: Graph, found: Mismatch): VerifyError {
  const { path, rounds, actual, expected, tolerance, kind } = found;
  const { shown, op, loc } = describeNode(graph, path);
  const worst = worstOf(found);
  const position = positionOf(expected.shape, worst.offset);
  const at = expected.shape.length === 0 ? "" : ` at [${position.join(", ")}]`;
  const [is, right] = [exact(actual.data[worst.offset]!), exact(expected.data[worst.offset]!)];
  const lines =
    kind === "operation"
      ? [`${shown} differs from the reference evaluator${at}: ${is} instead of ${right}`]
      : [
          `the program differs from its operations run one by one: what ${shown} gives${at} is ${is} instead of ${right}`,
          "every operation alone is right, so the fault is in how they were fused",
        ];
  lines.push(
    `${worst.count} of ${expected.data.length} elements of ${describe(expected)} differ by more than ${allowed(tolerance)}`,
  );
  lines.push(`${placeText(graph, path, rounds)}; no variable has changed`);
  lines.push("this is a fault in Sinter, not in the function");
  return new VerifyError(`${graph.name}: ${lines.join("\n  ")}`, locText(loc), {
    kind,
    op,
    rounds,
    element: position,
    actual: actual.data[worst.offset]!,
    expected: expected.data[worst.offset]!,
  });
}

/** All digits: what differs may be the last one. */
function exact(x: number): string {
  return Object.is(x, -0) ? "-0" : String(x);
}

/** The element that is farthest off, and how many are off. */
function worstOf({ actual, expected, tolerance }: Mismatch): { readonly offset: number; readonly count: number } {
  let [offset, count, farthest] = [0, 0, -1];
  expected.data.forEach((y, i) => {
    const x = actual.data[i]!;
    if (closeEnough(x, y, expected.dtype, tolerance)) return;
    count++;
    const far = Number.isNaN(x - y) ? Number.POSITIVE_INFINITY : Math.abs(x - y);
    if (far > farthest) [offset, farthest] = [i, far];
  });
  return { offset, count };
}

function allowed({ ulp = 0, relative = 0, absolute = 0 }: Tolerance): string {
  if (ulp === 0 && relative === 0 && absolute === 0) return "no bit";
  const size =
    relative === 0 && absolute === 0 ? "" : ` and ${numberText(absolute)} + ${numberText(relative)} of the value`;
  return `${ulp} ulp${size}`;
}
