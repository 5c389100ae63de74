/**
 * What an update of a known window leaves as it was: where the base has memory of its own, only that is copied. A step of
 * a stencil so moves its grid once, not twice.
 */
import {
  addIndex,
  axisIndex,
  type BufferId,
  type DType,
  type IndexExpr,
  isConst,
  type Nest,
  type NestKernel,
  scalarRead,
} from "@sinter/ir";
import { type GraphModel, infoOf } from "./model.ts";
import { newAxes, type Template } from "./template.ts";

export interface Frame {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** First element and the one behind the last, along each axis. */
  readonly window: readonly (readonly [number, number])[];
  /** Position of the node that makes the update. */
  readonly node: number;
}

/** What is around the window of an update; undefined where that is not known, or more than half of all. */
export function frameOf(model: GraphModel, template: Template): Frame | undefined {
  const { type, node, points } = infoOf(model, template.id);
  if (template.kind !== "update" || template.combine !== undefined || template.guard !== undefined) return undefined;
  if (template.tail.some((a) => a.kind !== "par")) return undefined;
  const shape = type.shape.filter((d) => typeof d === "number");
  const window = template.index.map((ix) => rangeOf(ix)).filter((r) => r !== undefined);
  if (shape.length !== type.shape.length || window.length !== shape.length) return undefined;
  const covered = window.reduce((n, [from, to]) => n * (to - from), 1);
  return 2 * covered >= points ? { dtype: type.dtype, shape, window, node } : undefined;
}

/** The range that a position runs through in steps of one. */
function rangeOf(ix: IndexExpr): readonly [number, number] | undefined {
  if (isConst(ix)) return [ix.constant, ix.constant + 1];
  const [only, second] = ix.terms;
  if (second !== undefined || only?.coef !== 1 || only.atom.kind !== "axis") return undefined;
  const { extent } = only.atom.axis;
  return typeof extent === "number" ? [ix.constant, ix.constant + extent] : undefined;
}

/** Copies what is around the window: before and behind it along each axis, within the window along the axes before. */
export function frameKernel(name: string, from: BufferId, to: BufferId, frame: Frame): NestKernel | undefined {
  const { dtype, shape, window } = frame;
  const nests: Nest[] = [];
  const add = (ranges: readonly (readonly [number, number])[]): void => {
    if (ranges.some(([start, end]) => start >= end)) return;
    const axes = newAxes(
      ranges.map(([start, end]) => end - start),
      "par",
    );
    const index = axes.map((a, i) => addIndex(axisIndex(a), ranges[i]![0]));
    const store = { buffer: to, index, value: scalarRead(dtype, from, index), when: "body" } as const;
    nests.push({ axes, accumulators: [], carries: [], stores: [store] });
  };
  shape.forEach((size, i) => {
    const around = (range: readonly [number, number]): (readonly [number, number])[] =>
      shape.map((full, j) => (j < i ? window[j]! : j === i ? range : [0, full]));
    add(around([0, window[i]![0]]));
    add(around([window[i]![1], size]));
  });
  return nests.length === 0 ? undefined : { kind: "nests", name, outer: [], nests };
}
