/**
 * Packing an operand of a product through its map, axis by axis: rows keep their places, and the sum goes through nested
 * loops. So what a merged axis would say by div and mod is said once for each row, and guards where they are decided.
 */
import {
  type Axis,
  axis,
  axisIndex,
  type LoopExpr,
  type LoopPointer,
  loop,
  rewriteScalar,
  type ScalarExpr,
  scaleIndex,
  sizeOf,
  toDim,
  visitScalar,
} from "@sinter/ir";
import { type KernelFunc, type Levels, Payload, strideOf } from "@sinter/ir/schedule";

/** One group of rows: where it begins and how many there are. */
export interface PackedRows {
  readonly first: LoopExpr;
  readonly count: number;
  /** Where the group begins in the packed buffer, and elements for each step of the sum. */
  readonly start: LoopExpr;
  readonly width: number;
}

/** Whether an operand moves unevenly along one of the merged axes. */
export function isUneven(value: ScalarExpr, axes: readonly Axis[]): boolean {
  let uneven = false;
  visitScalar(value, (node) => {
    if (node.kind !== "read" && node.kind !== "guard") return;
    const indices = [...(node.kind === "read" ? node.index : []), ...node.guard.map((range) => range.index)];
    uneven ||= indices.some((index) => axes.some((of) => strideOf(index, of) === undefined));
  });
  return uneven;
}

/** Stores, for each step of the sum, the rows' elements side by side. `rows` and `sum` are axes of `value` before merging. */
export function packThroughParts(
  of: KernelFunc,
  levels: Levels,
  pointer: LoopPointer,
  value: ScalarExpr,
  rows: readonly Axis[],
  sum: readonly Axis[],
  group: PackedRows,
): void {
  const { func } = of;
  // Each row has axes of its own, so that all of them are open at once.
  const own = Array.from({ length: group.count }, () => rows.map((a) => axis(a.name, a.extent, "par")));
  const values = own.map((axes) =>
    rewriteScalar(value, new Map(rows.map((a, i) => [a.id, axisIndex(axes[i]!)])), (node) => node),
  );
  const each = (row: number, body: () => void): void => {
    if (row === group.count) {
      body();
      return;
    }
    let rest = func.let("row", loop.add(group.first, loop.i32(row)));
    const at: LoopExpr[] = [];
    for (let i = rows.length - 1; i >= 0; i--) {
      const size = of.size(rows[i]!.extent);
      at[i] = i === 0 ? rest : func.let("at", loop.op("remU", rest, size));
      if (i > 0) rest = func.let("row", loop.op("divU", rest, size));
    }
    const open = (i: number): void =>
      i === rows.length ? each(row + 1, body) : levels.inside(own[row]![i]!, at[i]!, () => open(i + 1));
    open(0);
  };
  each(0, () => {
    const payload = new Payload(levels, of.memory, values, undefined, 0);
    const go = (i: number, at: LoopExpr): void => {
      const over = sum[i];
      if (over === undefined) {
        for (const [row, element] of values.entries())
          func.store(pointer, loop.add(at, loop.i32(row)), payload.value(element));
        return;
      }
      const step = toDim(scaleIndex(sizeOf(sum.slice(i + 1).map((a) => a.extent)), group.width));
      levels.loop(over, loop.i32(0), levels.size(over.extent), 1, () =>
        go(i + 1, func.let("to", loop.add(at, loop.mul(levels.axis(over.id).value, of.size(step))))),
      );
    };
    go(0, group.start);
  });
}
