/**
 * The two expression languages that kernels are made of: IndexExpr (integer positions, always in one canonical
 * linear form) and ScalarExpr (the value of one element). Types only; `index-algebra.ts` and `scalar-expr.ts`
 * construct them.
 */
import type { DType } from "../dtype.ts";

/** A named loop dimension. Identity is the `id`, unique in a program; names are for people. */
export interface Axis {
  readonly id: number;
  readonly name: string;
  readonly extent: Dim;
  /** `par`: iterations are independent. `red`: folded by the accumulators. `seq`: in order, carrying values. */
  readonly kind: AxisKind;
}
export type AxisKind = "par" | "red" | "seq";

/** A symbolic dimension: a run-time size within bounds. */
export interface Sym {
  readonly name: string;
  readonly lo: number;
  readonly hi: number;
}

/** A size: a number, or an IndexExpr over symbolic dims only. */
export type Dim = number | IndexExpr;

/**
 * `constant + sum(coef * atom)`, terms sorted by the atom's key, no zero coefficients, no repeated atoms.
 * `key` is the canonical text: equal keys mean equal expressions. `lo..hi` bound the value (inclusive).
 */
export interface IndexExpr {
  readonly constant: number;
  readonly terms: readonly IndexTerm[];
  readonly key: string;
  readonly lo: number;
  readonly hi: number;
}
export interface IndexTerm {
  readonly coef: number;
  readonly atom: Atom;
}
export type Atom = { readonly key: string; readonly lo: number; readonly hi: number } & (
  | { readonly kind: "axis"; readonly axis: Axis }
  | { readonly kind: "sym"; readonly sym: Sym }
  /** floor(value / by), by > 0 */
  | { readonly kind: "div"; readonly value: IndexExpr; readonly by: IndexExpr }
  /** value - by * floor(value / by), by > 0 */
  | { readonly kind: "mod"; readonly value: IndexExpr; readonly by: IndexExpr }
  /** a product that is not linear (a symbolic stride times an axis) */
  | { readonly kind: "mul"; readonly factors: readonly [IndexExpr, IndexExpr] }
  | { readonly kind: "min" | "max"; readonly args: readonly [IndexExpr, IndexExpr] }
  /** a position that comes out of data (gather), already clamped into lo..hi */
  | { readonly kind: "dyn"; readonly value: ScalarExpr }
);

/** lo <= index < hi */
export interface Range {
  readonly index: IndexExpr;
  readonly lo: Dim;
  readonly hi: Dim;
}

/**
 * The value of one element, a pure DAG (shared nodes are computed once). `key` is short and, within one
 * `expressionScope`, equal exactly for equal structures.
 */
export type ScalarExpr = { readonly dtype: DType; readonly key: string } & (
  | { readonly kind: "const"; readonly value: number }
  /** an index as a value (iota); dtype i32 unless cast */
  | { readonly kind: "index"; readonly index: IndexExpr }
  /** one element of a buffer; where a guard fails the value is `fill` and memory is not read */
  | {
      readonly kind: "read";
      readonly buffer: BufferId;
      readonly index: readonly IndexExpr[];
      readonly guard: readonly Range[];
      readonly fill: number;
    }
  /** a row of the scalar-op table */
  | { readonly kind: "op"; readonly op: string; readonly args: readonly ScalarExpr[] }
  /** what guards select: `value` where all ranges hold, else `otherwise` */
  | {
      readonly kind: "guard";
      readonly guard: readonly Range[];
      readonly value: ScalarExpr;
      readonly otherwise: ScalarExpr;
    }
  /** result (component) of an accumulator of the same nest; legal in end stores only */
  | { readonly kind: "acc"; readonly accumulator: number; readonly component: number }
  /** the carry of a seq nest, before this step; legal in the payload of that nest */
  | { readonly kind: "carry"; readonly carry: number }
  /**
   * a loop over carried scalars inside the payload: runs while `test`, at most `limit` times (Infinity: no bound).
   * `group` is equal exactly for the results of one loop, which are computed together
   */
  | {
      readonly kind: "loop";
      readonly limit: number;
      readonly init: readonly ScalarExpr[];
      readonly test: ScalarExpr;
      readonly next: readonly ScalarExpr[];
      readonly result: number;
      readonly loopId: number;
      readonly group: string;
    }
  /** a carried scalar of the enclosing payload loop */
  | { readonly kind: "loopVar"; readonly loopId: number; readonly slot: number }
);

/** Index into `NestProgram.buffers`. */
export type BufferId = number;
