/**
 * Every array function as a method: the one declaration of their signatures. `T` is Tensor and `L` is what may be given
 * where a tensor is wanted; both are parameters only so that this file imports nothing of the class. The free functions
 * of `lib/` say what each does.
 */
import type { Dim, DType } from "@sinter/ir";
import type { ConvOptions, ConvTransposeOptions, WindowOptions } from "./image-options.ts";

type Axes = number | readonly number[];
type Sizes = Dim | readonly Dim[];
type Range = readonly [start: number | null, stop: number | null, step?: number];
interface Running {
  readonly exclusive?: boolean;
  readonly reverse?: boolean;
}

export interface TensorMethods<T, L> {
  add(other: L): T;
  sub(other: L): T;
  mul(other: L): T;
  div(other: L): T;
  mod(other: L): T;
  pow(exponent: L): T;
  maximum(other: L): T;
  minimum(other: L): T;
  atan2(other: L): T;
  eq(other: L): T;
  ne(other: L): T;
  lt(other: L): T;
  le(other: L): T;
  gt(other: L): T;
  ge(other: L): T;
  and(other: L): T;
  or(other: L): T;
  xor(other: L): T;
  not(): T;
  neg(): T;
  abs(): T;
  sign(): T;
  square(): T;
  sqrt(): T;
  rsqrt(): T;
  reciprocal(): T;
  exp(): T;
  expm1(): T;
  log(): T;
  log1p(): T;
  log2(): T;
  sin(): T;
  cos(): T;
  tan(): T;
  asin(): T;
  acos(): T;
  atan(): T;
  sinh(): T;
  cosh(): T;
  tanh(): T;
  erf(): T;
  sigmoid(): T;
  softplus(): T;
  relu(): T;
  leakyRelu(slope?: number): T;
  elu(alpha?: number): T;
  selu(): T;
  gelu(options?: { readonly approximate?: boolean }): T;
  silu(): T;
  floor(): T;
  ceil(): T;
  round(): T;
  trunc(): T;
  clip(low?: L, high?: L): T;
  where(a: L, b: L): T;
  isNaN(): T;
  isFinite(): T;
  allClose(other: L, options?: { readonly rtol?: number; readonly atol?: number }): T;

  sum(axis?: Axes, keepDims?: boolean): T;
  prod(axis?: Axes, keepDims?: boolean): T;
  mean(axis?: Axes, keepDims?: boolean): T;
  variance(axis?: Axes, keepDims?: boolean, correction?: number): T;
  std(axis?: Axes, keepDims?: boolean, correction?: number): T;
  max(axis?: Axes, keepDims?: boolean): T;
  min(axis?: Axes, keepDims?: boolean): T;
  argMax(axis?: number, keepDims?: boolean): T;
  argMin(axis?: number, keepDims?: boolean): T;
  all(axis?: Axes, keepDims?: boolean): T;
  any(axis?: Axes, keepDims?: boolean): T;
  logSumExp(axis?: Axes, keepDims?: boolean): T;
  norm(axis?: Axes, keepDims?: boolean, ord?: number): T;
  cumsum(axis?: number, options?: Running): T;
  cumprod(axis?: number, options?: Running): T;
  cummax(axis?: number, options?: Running): T;
  cummin(axis?: number, options?: Running): T;
  softmax(axis?: Axes): T;
  logSoftmax(axis?: Axes): T;

  conv1d(w: L, options?: ConvOptions): T;
  conv2d(w: L, options?: ConvOptions): T;
  convTranspose2d(w: L, options?: ConvTransposeOptions): T;
  depthwiseConv2d(w: L, options?: WindowOptions): T;
  maxPool(window: Axes, options?: WindowOptions): T;
  avgPool(window: Axes, options?: WindowOptions): T;
  matmul(other: L): T;
  dot(other: L): T;
  outer(other: L): T;
  tensordot(other: L, axes?: number | readonly [readonly number[], readonly number[]]): T;
  /** `x.einsum("ij,jk->ik", y)` */
  einsum(spec: string, ...others: readonly L[]): T;

  reshape(shape: Sizes): T;
  flatten(): T;
  squeeze(axis?: Axes): T;
  expandDims(axis: Axes): T;
  transpose(perm?: readonly number[]): T;
  swapAxes(a: number, b: number): T;
  broadcastTo(shape: Sizes): T;
  /** Followed by `others` along an axis. */
  concat(others: L | readonly L[], axis?: number): T;
  /** With `others` along a new axis. */
  stack(others: L | readonly L[], axis?: number): T;
  split(parts: Axes, axis?: number): T[];
  tile(reps: Axes): T;
  repeat(count: number, axis?: number): T;
  flip(axis?: Axes): T;
  roll(shift: number, axis?: number): T;
  pad(widths: number | readonly (number | readonly number[])[], value?: number | boolean): T;
  slice(begin: Axes, size?: Axes): T;
  triu(k?: number): T;
  tril(k?: number): T;
  diag(k?: number): T;
  trace(k?: number): T;

  at(...indices: readonly (number | null | Range | T)[]): T;
  gather(indices: L, axis?: number): T;
  takeAlongAxis(indices: L, axis?: number): T;
  scatter(indices: L, values: L, axis?: number, combine?: "set" | "add" | "mul" | "max" | "min"): T;
  sort(axis?: number, options?: { readonly descending?: boolean }): T;
  argSort(axis?: number, options?: { readonly descending?: boolean }): T;
  topK(k: number): { readonly values: T; readonly indices: T };
  set(index: number | null | T | readonly (number | null | Range | T)[], value: L): T;
  addAt(index: number | null | T | readonly (number | null | Range | T)[], value: L): T;
  oneHot(depth: number, dtype?: DType): T;
  cast(dtype: DType): T;
  zerosLike(dtype?: DType): T;
  onesLike(dtype?: DType): T;
  stopGradient(): T;
}
