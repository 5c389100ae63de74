/** Recognises kernels that are matrix products: which axis is rows, which columns, which is summed over. No loops. */
import type { Axis, BufferDecl, Contraction, Nest, NestKernel, ScalarExpr } from "../index.ts";
import { contractionOf, typicalDim, visitScalar } from "../index.ts";
import { collapseAxes, flattenNest, mergeAxes, strideOf } from "./flat.ts";
import { vectorLanes } from "./lanes.ts";

/** Below this many rows the columns of B are read once or twice only: packing them costs more than it saves. */
export const minRows = 4;

/** A contraction with one axis of each role; `batch` axes loop around it. */
export interface Product {
  readonly nest: Nest;
  readonly batch: readonly Axis[];
  readonly m: Axis;
  readonly n: Axis;
  readonly k: Axis;
  readonly lhs: ScalarExpr;
  readonly rhs: ScalarExpr;
  /** The same before axes of one role were merged: positions without div and mod, for those who go through them axis by axis. */
  readonly parts: ProductParts;
}
export interface ProductParts {
  readonly m: readonly Axis[];
  readonly n: readonly Axis[];
  readonly k: readonly Axis[];
  readonly lhs: ScalarExpr;
  readonly rhs: ScalarExpr;
}

/** The kernel as a matrix product, where it is one large enough for packing to pay. */
export function productOf(kernel: NestKernel, decls: readonly BufferDecl[]): Product | undefined {
  const [only, second] = kernel.nests;
  if (!only || second || kernel.outer.length > 0 || only.stores.some((s) => s.when === "body")) return undefined;
  let nest = collapseAxes(flattenNest(only, decls));
  let c = contractionOf(nest);
  if (!c || c.m.length === 0 || c.n.length === 0 || c.k.length === 0) return undefined;
  const parts = { ...c, k: inMemoryOrder(c) };
  for (const role of ["m", "n", "k"] as const) {
    // In the order of the parts, for one operand may be packed axis by axis and the other along the merged axis.
    nest = mergeAxes(nest, parts[role]).nest;
    c = contractionOf(nest);
    if (c?.[role].length !== 1) return undefined;
  }
  return large(orient(nest, c, parts));
}

/** Columns are the axis along which results lie side by side in memory. */
function orient(nest: Nest, c: Contraction, parts: ProductParts): Product {
  const [m, n, k] = [c.m[0]!, c.n[0]!, c.k[0]!];
  const beside = (axis: Axis): number => nest.stores.filter((s) => strideOf(s.index[0]!, axis) === 1).length;
  return beside(m) > beside(n)
    ? { nest, batch: c.batch, m: n, n: m, k, lhs: c.rhs, rhs: c.lhs, parts: turned(parts) }
    : { nest, batch: c.batch, m, n, k, lhs: c.lhs, rhs: c.rhs, parts };
}

/** Rows and columns exchanged. */
export const turned = (p: ProductParts): ProductParts => ({ m: p.n, n: p.m, k: p.k, lhs: p.rhs, rhs: p.lhs });

/** What is summed over, far strides first: its merged axis then runs through memory in order. */
function inMemoryOrder({ k, lhs, rhs }: Contraction): Axis[] {
  const step = (of: Axis): number => {
    let most = 0;
    for (const factor of [lhs, rhs])
      visitScalar(factor, (node) => {
        if (node.kind === "read") most = Math.max(most, Math.abs(strideOf(node.index[0]!, of) ?? 0));
      });
    return most;
  };
  const steps = new Map(k.map((a) => [a, step(a)]));
  return [...k].sort((a, b) => steps.get(b)! - steps.get(a)!);
}

function large(p: Product): Product | undefined {
  const [m, n, k] = [p.m, p.n, p.k].map((a) => typicalDim(a.extent)) as [number, number, number];
  return m >= minRows && n >= vectorLanes && k >= 4 && m * n * k >= 2048 ? p : undefined;
}
