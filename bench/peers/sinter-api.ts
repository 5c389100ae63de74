// The part of Sinter's public surface that the bench uses, written down so that the bench type-checks by itself.

export interface Tensor {
  readonly shape: readonly number[];
  add(other: Operand): Tensor;
  sub(other: Operand): Tensor;
  mul(other: Operand): Tensor;
  div(other: Operand): Tensor;
  neg(): Tensor;
  square(): Tensor;
  sqrt(): Tensor;
  exp(): Tensor;
  log(): Tensor;
  tanh(): Tensor;
  erf(): Tensor;
  sin(): Tensor;
  cos(): Tensor;
  pow(exponent: Operand): Tensor;
  sigmoid(): Tensor;
  relu(): Tensor;
  softmax(axis?: number): Tensor;
  logSoftmax(axis?: number): Tensor;
  sum(axis?: number): Tensor;
  mean(axis?: number): Tensor;
  argMax(axis?: number): Tensor;
  matmul(other: Operand): Tensor;
  dataSync(): Float32Array | Int32Array;
  item(): number;
  dispose(): void;
}

export interface Variable extends Tensor {
  readonly value: Tensor;
  assign(value: Operand): void;
  assignAdd(value: Operand): void;
  assignSub(value: Operand): void;
}

export type Operand = Tensor | Variable | number;

export interface Lowered {
  cost(): { readonly kernels: number; readonly bytesRead: number; readonly bytesWritten: number };
}

export interface Compiled<Arguments extends Tensor[]> {
  (...args: Arguments): Tensor;
  lower(...args: Arguments): Lowered;
}

export interface SinterApi {
  tensor(data: Float32Array | Int32Array | number, options?: { shape?: readonly number[]; dtype?: string }): Tensor;
  variable(init: Tensor | number, options?: { name?: string }): Variable;
  compile<Arguments extends Tensor[]>(
    fn: (...args: Arguments) => Tensor,
    options?: { name?: string },
  ): Compiled<Arguments>;
  gradients(
    loss: () => Tensor,
    variables: readonly Variable[],
  ): { readonly value: Tensor; readonly grads: readonly Tensor[] };
}

/** The facade, seen through `SinterApi`. */
export const sinter: SinterApi = (await import("sinter")) as unknown as SinterApi;
