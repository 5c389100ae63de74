/** What happens to the sums of a product: the end stores of its nest, inside the edges of the result. */
import type { LoopExpr } from "@sinter/ir";
import { isMultiple, loop, scalarCost } from "@sinter/ir";
import {
  emitStores,
  firstPlace,
  type KernelFunc,
  Levels,
  Payload,
  type Product,
  storeScalars,
  vectorLanes,
} from "@sinter/ir/schedule";
import { insideAll } from "./staging.ts";
import type { Block, GroupPlace, Tile } from "./tiles.ts";

/** Columns that end stores handle at once. */
export function lanesOf(p: Product): number {
  return isMultiple(p.n.extent, vectorLanes) ? vectorLanes : 1;
}

/** Work of end stores that is worth repeating for each of a thread's results; above, a loop over them. */
const repeatedWork = 96;

/** The end stores of a thread's block, inside the edges. */
export function endStores(p: Product, tile: Tile, of: KernelFunc, place: GroupPlace, block: Block): void {
  const { func } = of;
  const lanes = lanesOf(p);
  const perVector = vectorLanes / lanes;
  const vectors = tile.columnVectors * perVector;
  const work = scalarCost(...p.nest.stores.flatMap(storeScalars)) + p.nest.stores.length;
  const columnOf = (v: number): LoopExpr =>
    loop.add(block.column(Math.floor(v / perVector)), loop.i32((v % perVector) * lanes));
  if (work * block.sums.length * vectors <= repeatedWork) {
    for (let v = 0; v < vectors; v++)
      for (const [r, row] of block.sums.entries()) {
        const sum = loop.use(row[Math.floor(v / perVector)]!);
        storeResult(
          p,
          tile,
          of,
          place.batch,
          block.row(r),
          columnOf(v),
          lanes === 1 ? loop.lane(sum, v % perVector) : sum,
        );
      }
    return;
  }
  const { dtype } = p.nest.accumulators[0]!;
  const width = tile.columnVectors * vectorLanes;
  const held = func.array("sums", dtype, block.sums.length * width, "private");
  for (const [r, row] of block.sums.entries())
    for (const [v, sum] of row.entries()) func.store(held, loop.i32(r * width + v * vectorLanes), loop.use(sum));
  func.for("result", loop.i32(0), loop.i32(block.sums.length * vectors), 1, (i) => {
    const r = func.let("r", loop.floorDiv(i, loop.i32(vectors), true));
    const v = func.let("v", loop.floorMod(i, loop.i32(vectors), true));
    const column =
      lanes === 1
        ? loop.add(
            block.column(loop.floorDiv(v, loop.i32(vectorLanes), true)),
            loop.floorMod(v, loop.i32(vectorLanes), true),
          )
        : block.column(v);
    const sum = func.let("sum", loop.load(held, loop.mul(i, loop.i32(lanes)), lanes));
    storeResult(p, tile, of, place.batch, block.row(r), column, sum);
  });
}

/** The end stores of one result, or of four side by side, where it exists. */
function storeResult(
  p: Product,
  tile: Tile,
  of: KernelFunc,
  batch: readonly LoopExpr[],
  row: LoopExpr,
  column: LoopExpr,
  sum: LoopExpr,
): void {
  const { func } = of;
  const checks: LoopExpr[] = [];
  if (!isMultiple(p.m.extent, tile.rows)) checks.push(loop.lt(row, of.size(p.m.extent)));
  if (!isMultiple(p.n.extent, tile.columns)) checks.push(loop.lt(column, of.size(p.n.extent)));
  func.if(checks.length === 0 ? loop.bool(true) : checks.reduce(loop.and), () =>
    finishResult(p, of, batch, func.let("row", row), func.let("column", column), sum),
  );
}

/** The end stores of results that exist: one, or four side by side. */
export function finishResult(
  p: Product,
  of: KernelFunc,
  batch: readonly LoopExpr[],
  row: LoopExpr,
  column: LoopExpr,
  sum: LoopExpr,
): void {
  const levels = new Levels(of.func, of.syms);
  const vector = sum.type.lanes === 1 ? undefined : p.n;
  const payload = new Payload(levels, of.memory, p.nest.stores.flatMap(storeScalars), vector, 0);
  payload.setResults(() => sum);
  insideAll(levels, [...p.batch, p.m, p.n], [...batch, row, column], () =>
    emitStores(
      { scope: { levels, memory: of.memory, rowLevel: 0 }, nest: p.nest, payload, vector },
      p.nest.stores,
      firstPlace,
    ),
  );
}
