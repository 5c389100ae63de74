/** What the transform sees of the library: types with the brands, and the functions that tests name. */
declare module "sinter" {
  export type TensorLike = Tensor | number | boolean;
  export class Tensor {
    readonly "~sinter": "tensor";
    readonly shape: readonly number[];
    readonly rank: number;
    add(x: TensorLike): Tensor;
    sub(x: TensorLike): Tensor;
    mul(x: TensorLike): Tensor;
    div(x: TensorLike): Tensor;
    gt(x: TensorLike): Tensor;
    lt(x: TensorLike): Tensor;
    eq(x: TensorLike): Tensor;
    not(): Tensor;
    and(x: TensorLike): Tensor;
    any(): Tensor;
    sum(): Tensor;
    matmul(x: TensorLike): Tensor;
    slice(from: number, to?: number): Tensor;
    item(): number | boolean;
    data(): Promise<Float32Array>;
    [Symbol.iterator](): Iterator<Tensor>;
  }
  export class Variable {
    readonly "~sinter": "tensor";
    add(x: TensorLike): Tensor;
    sub(x: TensorLike): Tensor;
    assign(x: TensorLike): void;
  }
  export interface Range extends Iterable<number> {
    readonly "~sinter": "range";
  }
  export function range(n: number | Tensor): Range;
  export function tensor(x: unknown): Tensor;
  export function where(c: TensorLike, x: TensorLike, y: TensorLike): Tensor;
  export function compile<A extends readonly unknown[], R>(fn: (...args: A) => R, options?: object): (...args: A) => R;
  export function grad(fn: (...args: Tensor[]) => Tensor): (...args: Tensor[]) => Tensor;
}
