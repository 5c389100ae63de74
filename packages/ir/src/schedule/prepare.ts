/** Decides how one nest will run: which axis goes along the lanes, the order of the loops, how far to unroll. */
import type { Axis, BufferDecl, IndexExpr, Nest, ScalarExpr } from "../index.ts";
import { scalarCost, scalarSize, typicalDim, visitScalar } from "../index.ts";
import { collapseAxes, flattenNest, nestScalars, type Piece, splitAtGuards, strideOf } from "./flat.ts";
import { vectorLanes } from "./lanes.ts";

export interface PreparedNest {
  /** One nest, or the pieces its vector axis was cut into; `along` is the vector axis of a piece. */
  readonly pieces: readonly Piece[];
  /** Loops in order, outermost first, without the vector axis of a piece. */
  readonly vector: Axis | undefined;
  /** Scalar work of one point. */
  readonly work: number;
  readonly points: number;
}

export interface PrepareOptions {
  /** Scalar loops in the order of the axes: the fallback, and the oracle of the other schedules. */
  readonly generic: boolean;
  /** Work of one chunk of a kernel, in multiplications. Tests make it small, so that small kernels have many chunks. */
  readonly chunkWork?: number;
}

export function prepareNest(nest: Nest, buffers: readonly BufferDecl[], options: PrepareOptions): PreparedNest {
  const flat = flattenNest(nest, buffers);
  const work = nestScalars(flat).reduce((sum, e) => sum + scalarCost(e), 1);
  const points = flat.axes.reduce((n, a) => n * typicalDim(a.extent), 1);
  if (options.generic) return { pieces: [{ nest: flat, along: undefined }], vector: undefined, work, points };
  const merged = collapseAxes(flat);
  const vector = chooseVector(merged);
  const pieces = vector?.kind === "par" ? splitAtGuards(merged, vector) : [{ nest: merged, along: vector }];
  return { pieces, vector, work, points };
}

/** Cost of moving four lanes of one access, by its stride along the vector axis. */
function accessCost(stride: number | undefined): number {
  return stride === 0 ? 0.5 : stride === 1 ? 1 : stride === undefined ? 12 : 6;
}

/**
 * The axis along which accesses are cheapest: stride 1 where possible. Undefined where vectors do not pay: no axis of at
 * least two points, or one whose lanes would be taken apart at nearly every access.
 */
function chooseVector(nest: Nest): Axis | undefined {
  let best: { axis: Axis; cost: number } | undefined;
  const arithmetic = nestScalars(nest).reduce((sum, e) => sum + scalarCost(e), 0);
  const sequential = nest.axes.some((a) => a.kind === "seq");
  for (const axis of [...nest.axes].reverse()) {
    const extent = typicalDim(axis.extent);
    if (axis.kind === "seq" || extent < 2) continue;
    if (sequential && !storesApart(nest, axis)) continue;
    let cost = arithmetic;
    eachAccess(nest, (index, store) => {
      const stride = strideOf(index, axis);
      // End stores of a vectorised reduction are one scalar per row.
      if (store === "end" && axis.kind === "red") return;
      cost += accessCost(stride) * (store ? 1.5 : 1);
    });
    // Lanes without points in the last vector, and the folding of lanes at the end of a vectorised reduction.
    cost *= (Math.ceil(extent / vectorLanes) * vectorLanes) / extent;
    if (axis.kind === "red") cost *= 1 + 8 / extent;
    if (!best || cost < best.cost * 0.999) best = { axis, cost };
  }
  if (!best) return undefined;
  let scalar = arithmetic * vectorLanes;
  eachAccess(nest, () => (scalar += vectorLanes));
  return best.cost < scalar ? best.axis : undefined;
}

/** Whether each step along the axis stores to memory of its own, at a place that moves evenly. */
function storesApart(nest: Nest, axis: Axis): boolean {
  return nest.stores.every((s) => {
    const stride = strideOf(s.index[0]!, axis);
    return stride !== undefined && stride !== 0;
  });
}

function eachAccess(nest: Nest, visit: (index: IndexExpr, store?: "body" | "end") => void): void {
  const seen = new Set<ScalarExpr>();
  for (const root of nestScalars(nest))
    visitScalar(root, (node) => node.kind === "read" && visit(node.index[0]!), seen);
  for (const store of nest.stores) visit(store.index[0]!, store.when);
}

/** Work of a round up to which two vectors go round in one loop inside a payload: chains of few operations overlap. */
const shortRound = 64;

/**
 * Unrolled vectors of a loop whose body computes these values: enough to hide latency and loop overhead, not more.
 */
export function unrollFor(roots: readonly ScalarExpr[], most: number): number {
  let loops = false;
  let size = 0;
  const seen = new Set<ScalarExpr>();
  for (const root of roots) {
    size += scalarSize(root);
    visitScalar(
      root,
      (node) => {
        loops ||= node.kind === "loop";
      },
      seen,
    );
  }
  if (loops) return size <= shortRound ? Math.min(most, 2) : 1;
  const work = roots.reduce((sum, e) => sum + scalarCost(e), roots.length);
  const wanted = work <= 6 ? 8 : work <= 16 ? 4 : work <= 40 ? 2 : 1;
  return Math.min(wanted, most);
}
