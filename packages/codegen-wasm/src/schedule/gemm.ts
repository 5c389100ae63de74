/**
 * Contractions as packed matrix products: panels of B in scratch, a register tile of C per micro-kernel, the epilogue at
 * the store. Any contraction fits: axes that are not linear in memory only make packing slower. The structure is that of
 * Goto and van de Geijn (Anatomy of High-Performance Matrix Multiplication, 2008) without blocking of k: the register
 * tile stays put over all of k, so partial sums never go to memory.
 */

import type {
  Axis,
  BufferDecl,
  Dim,
  LoopExpr,
  LoopFunc,
  LoopKernel,
  LoopPointer,
  NestKernel,
  ScalarExpr,
  ScratchDecl,
} from "@sinter/ir";
import {
  addIndex,
  bytesOf,
  divIndex,
  flopsOf,
  isMultiple,
  loop,
  mulIndex,
  scalarCost,
  scaleIndex,
  sizeOf,
  toDim,
  typicalDim,
} from "@sinter/ir";
import {
  aliasablePairs,
  ceilDiv,
  emitStores,
  type KernelBuffers,
  KernelFunc,
  kernelBuffers,
  Levels,
  minRows,
  Payload,
  type Product,
  strideOf,
  vectorLanes,
} from "@sinter/ir/schedule";
import { scheduleNests } from "./kernel.ts";
import { isUneven, packThroughParts } from "./pack-parts.ts";
import { type Panels, panelsOf, placesOf, stepOf } from "./panels.ts";

/** Rows of the register tile: with two vectors of columns, twelve accumulators, so that three registers are left. */
const tileRows = 6;
/** Bytes of A that stay in the second-level cache while the panels of B pass by. */
const cachedRows = 1 << 19;

/** Vectors of columns in a register tile: two registers' worth of what the machine holds. */
function tileVectors(p: Product): number {
  return bytesOf(p.nest.accumulators[0]!.dtype) === 8 ? 1 : 2;
}

export function scheduleProduct(kernel: NestKernel, p: Product, decls: readonly BufferDecl[]): LoopKernel {
  const used = kernelBuffers(kernel, decls);
  const [m, n, k] = [p.m.extent, p.n.extent, p.k.extent];
  const panels = panelsOf(n, tileVectors(p));
  const plan: ProductPlan = {
    kernel,
    p,
    decls,
    used,
    m,
    n,
    k,
    direct: directOperand(p),
    block: rowBlock(p, m, typicalDim(k)),
  };
  const entry = openFunc(plan, kernel.name);
  const funcs: LoopFunc[] = [];
  const product = (): void =>
    eachBatch(entry, p.batch, (batchArgs) => {
      if (!plan.direct) callPar(entry, funcs, packRows(plan), ceilDiv(m, tileRows), batchArgs);
      panels.forEach((panel, i) => {
        callPar(entry, funcs, packPanels(plan, panel, i), panel.count, batchArgs);
        callPar(entry, funcs, tiles(plan, panel, i), sizeOf([panel.count, ceilDiv(m, plan.block)]), batchArgs);
      });
    });
  const few = withFewRows(plan);
  if (few === undefined) product();
  else {
    entry.of.func.if(
      loop.lt(entry.of.size(m), loop.i32(minRows)),
      () => entry.of.func.call(few[0]!, entry.of.pointers, entry.of.sizeArgs),
      product,
    );
    funcs.push(...few);
  }
  return {
    name: kernel.name,
    funcs: [entry.of.func.finish(), ...funcs],
    buffers: used.buffers,
    scratch: entry.scratch,
    writes: used.writes,
    ...(used.syms.length > 0 ? { syms: used.syms } : {}),
    aliasable: aliasablePairs(kernel, decls),
    flops: flopsOf(kernel),
    schedule: `matmul ${tileRows}x${tileVectors(p) * vectorLanes}${plan.direct ? "" : ", rows packed"}`,
  };
}

/** The loops for so few rows that packing does not pay, where it may turn out that there are no more. */
function withFewRows({ kernel, decls, m }: ProductPlan): readonly LoopFunc[] | undefined {
  if (typeof m === "number" || m.lo >= minRows) return undefined;
  const { funcs, scratch } = scheduleNests({ ...kernel, name: `${kernel.name}_few` }, decls, { generic: false });
  return scratch.length > 0 ? undefined : funcs;
}

interface ProductPlan {
  readonly kernel: NestKernel;
  readonly p: Product;
  readonly decls: readonly BufferDecl[];
  readonly used: KernelBuffers;
  readonly m: Dim;
  readonly n: Dim;
  readonly k: Dim;
  /** A read straight from its buffer: its strides along m and k. Undefined: packed first. */
  readonly direct:
    | { readonly read: ScalarExpr & { kind: "read" }; readonly rowStride: number; readonly kStride: number }
    | undefined;
  /** Rows that one call does for one panel. */
  readonly block: number;
}

function directOperand(p: Product): ProductPlan["direct"] {
  const read = p.lhs;
  if (read.kind !== "read" || read.guard.length > 0 || read.dtype !== p.nest.accumulators[0]!.dtype) return undefined;
  const [rowStride, kStride] = [strideOf(read.index[0]!, p.m), strideOf(read.index[0]!, p.k)];
  // Far apart on both sides, every element would be a cache line of its own.
  if (rowStride === undefined || kStride === undefined || Math.min(Math.abs(rowStride), Math.abs(kStride)) > 16)
    return undefined;
  return { read, rowStride, kStride };
}

function rowBlock(p: Product, m: Dim, k: number): number {
  const rows = Math.floor(cachedRows / (k * bytesOf(p.nest.accumulators[0]!.dtype)));
  // Enough multiplications in a call that the call itself costs nothing, few enough that there are many calls.
  const enough = Math.ceil((1 << 15) / k);
  return Math.min(
    Math.max(tileRows, Math.floor(Math.min(rows, Math.max(enough, 16 * tileRows)) / tileRows) * tileRows),
    typeof m === "number" ? Math.ceil(m / tileRows) * tileRows : Infinity,
  );
}

/** A function of the kernel with its scratch pointers: packed panels, packed rows, a tile on its way to the epilogue. */
interface OpenFunc {
  readonly of: KernelFunc;
  readonly packed: LoopPointer;
  readonly rows: LoopPointer | undefined;
  readonly tile: LoopPointer;
  readonly pointers: readonly LoopPointer[];
  readonly scratch: readonly ScratchDecl[];
}

function openFunc(plan: ProductPlan, name: string, params: readonly string[] = []): OpenFunc {
  const of = new KernelFunc(name, plan.decls, plan.used, params);
  const { dtype } = plan.p.nest.accumulators[0]!;
  const size = bytesOf(dtype);
  const packed = of.func.pointer("packed", dtype, "scratch");
  const scratch: ScratchDecl[] = [
    { pointer: packed, bytes: bytesFor(addIndex(plan.n, roomBehind(plan.n)), plan.k, size) },
  ];
  const rows = plan.direct ? undefined : of.func.pointer("rows", dtype, "scratch");
  if (rows)
    scratch.push({ pointer: rows, bytes: toDim(addIndex(bytesFor(addIndex(plan.m, tileRows), plan.k, size), 16)) });
  const tile = of.func.pointer("tile", dtype, "scratch");
  scratch.push({ pointer: tile, bytes: tileRows * 2 * vectorLanes * size });
  return { of, packed, rows, tile, pointers: [...of.pointers, packed, ...(rows ? [rows] : []), tile], scratch };
}

/** Columns more than there are that packed panels take: each single column at the end has a vector. */
function roomBehind(n: Dim): number {
  return typeof n === "number" ? 2 * vectorLanes : 3 * vectorLanes;
}

function bytesFor(rows: Dim, columns: Dim, size: number): Dim {
  return toDim(scaleIndex(mulIndex(rows, columns), size));
}

/** Loops over the batch axes in the entry; their counters go to every function as arguments. */
function eachBatch(entry: OpenFunc, batch: readonly Axis[], body: (args: readonly LoopExpr[]) => void): void {
  const go = (rest: readonly Axis[], args: readonly LoopExpr[]): void => {
    const [axis, ...inner] = rest;
    if (!axis) body(args);
    else entry.of.func.for(axis.name, loop.i32(0), entry.of.size(axis.extent), 1, (i) => go(inner, [...args, i]));
  };
  go(batch, []);
}

function callPar(entry: OpenFunc, funcs: LoopFunc[], func: LoopFunc, chunks: Dim, args: readonly LoopExpr[]): void {
  funcs.push(func);
  entry.of.func.par(entry.of.size(chunks), func, entry.pointers, [...args, ...entry.of.sizeArgs]);
}

/** Opens a chunk function with the batch axes bound. */
function chunkFunc(
  plan: ProductPlan,
  name: string,
  body: (f: OpenFunc, levels: Levels, chunk: LoopExpr) => void,
): LoopFunc {
  const f = openFunc(plan, `${plan.kernel.name}_${name}`, ["chunk", ...plan.p.batch.map((a) => a.name)]);
  const [chunk, ...params] = f.of.params as readonly [LoopExpr, ...LoopExpr[]];
  const levels = new Levels(f.of.func, f.of.syms);
  const bind = (i: number): void => {
    const axis = plan.p.batch[i];
    if (axis) levels.inside(axis, params[i]!, () => bind(i + 1));
    else body(f, levels, chunk);
  };
  bind(0);
  return f.of.func.finish();
}

/** Where a panel begins in the packed buffer. */
function panelStart(plan: ProductPlan, of: KernelFunc, panel: Panels, number: LoopExpr): LoopExpr {
  const width = panel.vectors * vectorLanes;
  // A panel of fewer columns takes the room of full vectors, wherever it begins.
  return loop.add(
    loop.mul(number, of.size(toDim(scaleIndex(plan.k, width)))),
    of.size(toDim(mulIndex(panel.firstColumn, plan.k))),
  );
}

/** One panel of B per chunk: for each k, the panel's columns side by side. */
function packPanels(plan: ProductPlan, panel: Panels, position: number): LoopFunc {
  const { p, k } = plan;
  const width = panel.vectors * vectorLanes;
  return chunkFunc(plan, `pack${position}`, (f, levels, number) => {
    const { func } = f.of;
    const column = func.let(
      "column",
      loop.add(loop.mul(number, loop.i32(stepOf(panel))), f.of.size(panel.firstColumn)),
    );
    const start = func.let("start", panelStart(plan, f.of, panel, number));
    if (isUneven(p.rhs, [p.n, p.k])) {
      const count = (panel.vectors - 1) * vectorLanes + panel.active;
      packThroughParts(f.of, levels, f.packed, p.parts.rhs, p.parts.n, p.parts.k, {
        ...{ first: column, count, start, width },
      });
      return;
    }
    levels.inside(p.n, column, () => {
      const payload = new Payload(levels, f.of.memory, [p.rhs], p.n, 0);
      levels.loop(p.k, loop.i32(0), levels.size(k), 1, () => {
        const at = loop.add(start, loop.mul(levels.axis(p.k.id).value, loop.i32(width)));
        for (const place of placesOf(panel))
          func.store(f.packed, loop.add(at, loop.i32(place.copy * vectorLanes)), payload.wide(p.rhs, place));
      });
    });
  });
}

/** One tile of rows of A per chunk: for each k, the rows of the tile side by side. */
function packRows(plan: ProductPlan): LoopFunc {
  const { p, k, m } = plan;
  return chunkFunc(plan, "rows", (f, levels, number) => {
    const { func } = f.of;
    const row = func.let("row", loop.mul(number, loop.i32(tileRows)));
    const start = func.let("start", loop.mul(number, f.of.size(toDim(scaleIndex(k, tileRows)))));
    if (isUneven(p.lhs, [p.m, p.k])) {
      const through = (first: LoopExpr, count: number, at: LoopExpr): void =>
        packThroughParts(f.of, levels, f.rows!, p.parts.lhs, p.parts.m, p.parts.k, {
          ...{ first, count, start: at },
          width: tileRows,
        });
      if (typeof m === "number") byRows(f, row, m, (rows) => through(row, rows, start));
      else
        func.if(
          loop.lt(row, levels.size(fullRows(m))),
          () => through(row, tileRows, start),
          () => func.for("r", row, levels.size(m), 1, (r) => through(r, 1, loop.add(start, loop.sub(r, row)))),
        );
      return;
    }
    const pack = (rows: number): void =>
      levels.inside(p.m, row, () => {
        const payload = new Payload(levels, f.of.memory, [p.lhs], p.m, 0);
        levels.loop(p.k, loop.i32(0), levels.size(k), 1, () => {
          const at = loop.add(start, loop.mul(levels.axis(p.k.id).value, loop.i32(tileRows)));
          for (let copy = 0; copy * vectorLanes < rows; copy++) {
            const active = Math.min(vectorLanes, rows - copy * vectorLanes);
            func.store(
              f.rows!,
              loop.add(at, loop.i32(copy * vectorLanes)),
              payload.wide(p.lhs, { copy, active }),
              active,
            );
          }
        });
      });
    if (typeof m === "number") byRows(f, row, m, pack);
    else
      func.if(
        loop.lt(row, levels.size(fullRows(m))),
        () => pack(tileRows),
        () =>
          func.for("r", row, levels.size(m), 1, (r) =>
            levels.inside(p.m, r, () => {
              const payload = new Payload(levels, f.of.memory, [p.lhs], undefined, 0);
              levels.loop(p.k, loop.i32(0), levels.size(k), 1, () => {
                const at = loop.add(start, loop.mul(levels.axis(p.k.id).value, loop.i32(tileRows)));
                func.store(f.rows!, loop.add(at, loop.sub(r, row)), payload.value(p.lhs));
              });
            }),
          ),
      );
  });
}

/** Rows of all full tiles. */
function fullRows(m: Dim): Dim {
  return toDim(scaleIndex(divIndex(m, tileRows), tileRows));
}

/** Full tiles, and the last one with the rows that are left. */
function byRows(f: OpenFunc, row: LoopExpr, m: number, body: (rows: number) => void): void {
  const rest = m % tileRows;
  if (rest === 0) body(tileRows);
  else if (m < tileRows) body(rest);
  else
    f.of.func.if(
      loop.lt(row, loop.i32(m - rest)),
      () => body(tileRows),
      () => body(rest),
    );
}

/** A block of rows of one panel per chunk: consecutive chunks share the rows, which stay in the cache. */
function tiles(plan: ProductPlan, panel: Panels, position: number): LoopFunc {
  const { block, m, p } = plan;
  return chunkFunc(plan, `tile${position}`, (f, levels, chunk) => {
    const { func } = f.of;
    const single = panel.count === 1;
    const count = f.of.size(panel.count);
    const number = func.let("panel", single ? loop.i32(0) : loop.op("remU", chunk, count));
    const part = single ? chunk : func.let("part", loop.op("divU", chunk, count));
    const column = func.let(
      "column",
      loop.add(loop.mul(number, loop.i32(stepOf(panel))), f.of.size(panel.firstColumn)),
    );
    const start = func.let("start", panelStart(plan, f.of, panel, number));
    const from = func.let("from", loop.mul(part, loop.i32(block)));
    const full = fullRows(m);
    levels.inside(p.n, column, () => {
      const to = func.let("to", loop.min(loop.add(from, loop.i32(block)), levels.size(full)));
      levels.loop(p.m, from, to, tileRows, () => microKernel(plan, f, levels, panel, start, tileRows));
      if (m === full || isMultiple(m, tileRows)) return;
      const last = loop.ge(loop.add(from, loop.i32(block)), levels.size(m));
      func.if(last, () => {
        if (typeof m === "number" && typeof full === "number")
          levels.inside(p.m, loop.i32(full), () => microKernel(plan, f, levels, panel, start, m - full));
        else restOfRows(plan, f, levels, panel, start);
      });
    });
  });
}

/** What is left of the rows where their number is symbolic: four, two and one of them at a time. */
function restOfRows(plan: ProductPlan, f: OpenFunc, levels: Levels, panel: Panels, start: LoopExpr): void {
  const { m, p } = plan;
  const { func } = f.of;
  const full = levels.size(fullRows(m));
  const rest = func.let("rest", loop.sub(levels.size(m), full));
  const run = (rows: number, before: LoopExpr): void =>
    func.if(loop.op("ne", loop.and(rest, loop.i32(rows)), loop.i32(0)), () =>
      levels.inside(p.m, func.let("row", loop.add(full, before)), () =>
        microKernel(plan, f, levels, panel, start, rows, full),
      ),
    );
  run(4, loop.i32(0));
  run(2, loop.and(rest, loop.i32(4)));
  run(1, loop.and(rest, loop.i32(6)));
}

/** rows x vectors accumulators over all of k, then the epilogue. `tileRow`: where the tile begins whose rows these are. */
function microKernel(
  plan: ProductPlan,
  f: OpenFunc,
  levels: Levels,
  panel: Panels,
  start: LoopExpr,
  rows: number,
  tileRow?: LoopExpr,
): void {
  const { p, k } = plan;
  const { func } = f.of;
  const { dtype } = p.nest.accumulators[0]!;
  const row = levels.axis(p.m.id).value;
  const width = panel.vectors * vectorLanes;
  const acc = Array.from({ length: rows }, (_, r) =>
    Array.from({ length: panel.vectors }, (_, v) => func.local(`c${r}_${v}`, loop.constant(dtype, 0, vectorLanes))),
  );
  const a = operandA(plan, f, levels, row, tileRow);
  // Addresses grow with the counter, so the emitter keeps one bumped local for A and one for B.
  func.for("k", loop.i32(0), levels.size(k), 1, (kk) => {
    const bAt = loop.add(start, loop.mul(kk, loop.i32(width)));
    const aAt = loop.add(a.start, loop.mul(kk, loop.i32(a.kStride)));
    const b = Array.from({ length: panel.vectors }, (_, v) =>
      func.let("bv", loop.load(f.packed, loop.add(bAt, loop.i32(v * vectorLanes)), vectorLanes)),
    );
    for (let r = 0; r < rows; r++) {
      const element = loop.load(a.pointer, loop.add(aAt, loop.i32(r * a.rowStride)));
      const av = func.let("av", loop.splat(element, vectorLanes));
      for (const [v, c] of acc[r]!.entries()) func.assign(c, loop.fma(av, b[v]!, loop.use(c)));
    }
  });
  epilogue(
    plan,
    f,
    levels,
    panel,
    acc.map((vectors) => vectors.map(loop.use)),
  );
}

function operandA(
  plan: ProductPlan,
  f: OpenFunc,
  levels: Levels,
  row: LoopExpr,
  tileRow: LoopExpr | undefined,
): { pointer: LoopPointer; start: LoopExpr; rowStride: number; kStride: number } {
  const { direct, p } = plan;
  if (!direct) {
    const inTile = tileRow === undefined ? loop.i32(0) : loop.sub(row, tileRow);
    const start = loop.add(loop.mul(tileRow ?? row, levels.size(plan.k)), inTile);
    return { pointer: f.rows!, start, rowStride: 1, kStride: tileRows };
  }
  const payload = new Payload(levels, f.of.memory, [], undefined, 0);
  let start: LoopExpr = loop.i32(0);
  levels.inside(p.k, loop.i32(0), () => {
    start = payload.offset(direct.read.index[0]!);
  });
  return {
    pointer: f.of.memory.pointer(direct.read.buffer),
    start,
    rowStride: direct.rowStride,
    kStride: direct.kStride,
  };
}

/** Work of an epilogue that is worth repeating for each of the tile's vectors; above, a loop over the rows. */
const repeatedWork = 4;

function epilogue(
  plan: ProductPlan,
  f: OpenFunc,
  levels: Levels,
  panel: Panels,
  acc: readonly (readonly LoopExpr[])[],
): void {
  const { p } = plan;
  const { func } = f.of;
  const roots = p.nest.stores.map((s) => s.value);
  const row = levels.axis(p.m.id).value;
  const payload = new Payload(levels, f.of.memory, roots, p.n, 0);
  const scope = { levels, memory: f.of.memory, rowLevel: 0 };
  const store = (at: LoopExpr, value: (copy: number) => LoopExpr): void =>
    levels.inside(p.m, at, () => {
      payload.setResults((_, copy) => value(copy));
      for (const place of placesOf(panel))
        emitStores({ scope, nest: p.nest, payload, vector: p.n }, p.nest.stores, place);
    });
  if (roots.reduce((sum, e) => sum + scalarCost(e), 0) <= repeatedWork) {
    acc.forEach((vectors, r) => {
      store(func.let("row", loop.add(row, loop.i32(r))), (copy) => vectors[copy]!);
    });
    return;
  }
  const width = panel.vectors * vectorLanes;
  acc.forEach((vectors, r) => {
    vectors.forEach((c, v) => {
      func.store(f.tile, loop.i32(r * width + v * vectorLanes), c);
    });
  });
  func.for("r", loop.i32(0), loop.i32(acc.length), 1, (r) => {
    const at = func.let("row", loop.add(row, r));
    store(at, (copy) =>
      loop.load(f.tile, loop.add(loop.mul(r, loop.i32(width)), loop.i32(copy * vectorLanes)), vectorLanes),
    );
  });
}
