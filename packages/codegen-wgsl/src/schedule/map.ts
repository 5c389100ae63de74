/**
 * Maps: a vector of four neighbouring points per thread where every access is a whole aligned vector or one element for
 * all of them, else one point.
 */
import {
  type Axis,
  type BufferDecl,
  type Dim,
  type IndexExpr,
  isMultiple,
  type LoopKernel,
  loop,
  type Nest,
  type NestKernel,
  ownIndices,
  type Range,
  type ScalarExpr,
  sameIndex,
  sizeOf,
  visitScalar,
} from "@sinter/ir";
import {
  ceilDiv,
  collapseAxes,
  emitStores,
  firstPlace,
  flattenNest,
  KernelFunc,
  kernelBuffers,
  Levels,
  mentions,
  nestScalars,
  Payload,
  strideOf,
  vectorLanes,
} from "@sinter/ir/schedule";
import { atPoint, eachThread, gridParams, groupsFor, kernelFrame, threadsFor } from "./threads.ts";

/** Takes kernels of one nest that folds and steps along nothing. */
export function mapKernel(kernel: NestKernel, decls: readonly BufferDecl[]): LoopKernel | undefined {
  const [only] = kernel.nests;
  if (only === undefined || only.carries.length > 0 || only.accumulators.length > 0) return undefined;
  if (only.axes.some((a) => a.kind !== "par")) return undefined;
  const nest = collapseAxes(flattenNest(only, decls));
  const used = kernelBuffers(kernel, decls);
  const vector = vectorOf(nest, decls);
  // The vector axis counts vectors, of which the last may be partly padding.
  const sizes = nest.axes.map((a): Dim => (a === vector ? ceilDiv(a.extent, vectorLanes) : a.extent));
  const axes = nest.axes.map((a, i): Axis => ({ ...a, extent: sizes[i]! }));
  const points = sizeOf(sizes);
  const threads = threadsFor(points);
  const of = new KernelFunc(kernel.name, decls, used, gridParams);
  eachThread(of, points, threads, (point) => {
    const levels = new Levels(of.func, of.syms);
    atPoint(levels, axes, point, () => {
      const body = (): void => {
        const payload = new Payload(levels, of.memory, nestScalars(nest), vector, 0);
        payload.runLoops(
          nest.stores.map((s) => s.value),
          [firstPlace],
        );
        emitStores(
          { scope: { levels, memory: of.memory, rowLevel: 0 }, nest, payload, vector },
          nest.stores,
          firstPlace,
        );
      };
      if (vector === undefined) body();
      else {
        const first = of.func.let(vector.name, loop.mul(levels.axis(vector.id).value, loop.i32(vectorLanes)));
        levels.inside(vector, first, body);
      }
    });
  });
  return {
    ...kernelFrame(kernel, decls, used),
    funcs: [of.func.finish()],
    scratch: [],
    grids: [{ func: kernel.name, groups: groupsFor(points, threads), threads }],
    schedule: vector === undefined ? "map" : "map of vectors",
  };
}

/** The innermost axis, where four neighbours along it are one access each. */
function vectorOf(nest: Nest, decls: readonly BufferDecl[]): Axis | undefined {
  const last = nest.axes.at(-1);
  if (last === undefined) return undefined;
  // Padding comes behind a whole buffer only.
  const whole = isMultiple(last.extent, vectorLanes);
  if (!whole && nest.axes.length > 1) return undefined;
  if (typeof last.extent === "number" && last.extent < 2) return undefined;
  let fits = true;
  const access = (offset: IndexExpr): void => {
    const stride = strideOf(offset, last);
    // One element for all lanes, or lanes side by side from a multiple of four.
    fits &&= stride === 0 || (stride === 1 && isAligned(offset, last));
  };
  const guards = (ranges: readonly Range[]): void => {
    fits &&= ranges.every((r) => !mentions(r.index, last) && strideOf(r.index, last) === 0);
  };
  const seen = new Set<ScalarExpr>();
  for (const root of nestScalars(nest))
    visitScalar(
      root,
      (node) => {
        if (node.kind === "loop") fits = false;
        if (node.kind === "read") access(node.index[0]!);
        else for (const index of ownIndices(node)) fits &&= strideOf(index, last) !== undefined;
        if (node.kind === "read" || node.kind === "guard") guards(node.guard);
      },
      seen,
    );
  for (const { buffer, index, guard = [], combine } of nest.stores) {
    const { kind, shape } = decls[buffer]!;
    access(index[0]!);
    guards(guard);
    fits &&= combine === undefined && strideOf(index[0]!, last) === 1;
    if (!whole) fits &&= kind !== "slice" && sameIndex(sizeOf(shape), last.extent);
  }
  return fits ? last : undefined;
}

/** Whether an offset is a multiple of four wherever the axis is. */
function isAligned(offset: IndexExpr, along: Axis): boolean {
  return (
    offset.constant % vectorLanes === 0 &&
    offset.terms.every(
      ({ coef, atom }) => coef % vectorLanes === 0 || (coef === 1 && atom.kind === "axis" && atom.axis.id === along.id),
    )
  );
}
