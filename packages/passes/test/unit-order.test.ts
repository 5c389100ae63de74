import { expect, test } from "vitest";
import { UnitOrder } from "../src/fuse/unit-order.ts";

/** Units 0, 1, 2, ...; each pair says that the first is read by the second. */
function orderOf(count: number, edges: readonly (readonly [number, number])[]): UnitOrder {
  const after = (unit: number): number[] => edges.filter(([from]) => from === unit).map(([, to]) => to);
  return new UnitOrder(Array(count).keys(), after);
}

test("finds what lies on a way between two units, in either order", () => {
  const order = orderOf(4, [
    [0, 1],
    [1, 3],
    [0, 3],
    [2, 3],
  ]);
  expect([order.between(0, 3), order.between(3, 0)]).toEqual([1, 1]);
  expect([order.between(0, 1), order.between(0, 2), order.between(2, 3)]).toEqual([undefined, undefined, undefined]);
});

test("keeps makers before readers when units merge", () => {
  // 0 and 3 become one: 1 reads 0, so it comes behind them, and 2 is read by 3, so it comes before.
  const edges = new Map([
    [0, [1]],
    [1, [4]],
    [2, [3]],
    [3, [4]],
    [4, []],
  ]);
  const order = new UnitOrder(edges.keys(), (unit) => edges.get(unit)!);
  order.merge(0, 3, 0);
  edges.set(0, [1, 4]);
  edges.set(2, [0]);
  expect(order.between(2, 1)).toBe(0);
  expect(order.between(0, 4)).toBe(1);
  expect(order.between(2, 0)).toBe(undefined);
});

test("a question looks at the units in between alone", () => {
  const visits = (count: number): number => {
    const order = new UnitOrder(Array(count).keys(), (unit) => [unit + 1, unit + 2].filter((u) => u < count));
    for (let unit = 0; unit + 1 < count; unit++) order.between(unit, unit + 1);
    return order.visited;
  };
  expect(visits(2000)).toBeLessThanOrEqual(2.1 * visits(1000));
});
