/** Installs the array functions as methods of Tensor and Variable; the type checker holds the two lists equal. */
import * as lib from "./lib/index.ts";
import { Tensor, type TensorLike } from "./tensor.ts";
import type { TensorMethods } from "./tensor-methods.ts";
import { stopGradient } from "./transforms.ts";
import { Variable } from "./variable.ts";

type Methods = TensorMethods<Tensor, TensorLike>;
type Installed = {
  readonly [K in keyof Methods]: (x: TensorLike, ...args: Parameters<Methods[K]>) => ReturnType<Methods[K]>;
};

const asList = (others: TensorLike | readonly TensorLike[]): readonly TensorLike[] =>
  Array.isArray(others) ? (others as readonly TensorLike[]) : [others as TensorLike];

const methods: Installed = {
  add: lib.add,
  sub: lib.sub,
  mul: lib.mul,
  div: lib.div,
  mod: lib.mod,
  pow: lib.pow,
  maximum: lib.maximum,
  minimum: lib.minimum,
  atan2: lib.atan2,
  eq: lib.eq,
  ne: lib.ne,
  lt: lib.lt,
  le: lib.le,
  gt: lib.gt,
  ge: lib.ge,
  and: lib.and,
  or: lib.or,
  xor: lib.xor,
  not: lib.not,
  neg: lib.neg,
  abs: lib.abs,
  sign: lib.sign,
  square: lib.square,
  sqrt: lib.sqrt,
  rsqrt: lib.rsqrt,
  reciprocal: lib.reciprocal,
  exp: lib.exp,
  expm1: lib.expm1,
  log: lib.log,
  log1p: lib.log1p,
  log2: lib.log2,
  sin: lib.sin,
  cos: lib.cos,
  tan: lib.tan,
  asin: lib.asin,
  acos: lib.acos,
  atan: lib.atan,
  sinh: lib.sinh,
  cosh: lib.cosh,
  tanh: lib.tanh,
  erf: lib.erf,
  sigmoid: lib.sigmoid,
  softplus: lib.softplus,
  relu: lib.relu,
  leakyRelu: lib.leakyRelu,
  elu: lib.elu,
  selu: lib.selu,
  gelu: lib.gelu,
  silu: lib.silu,
  floor: lib.floor,
  ceil: lib.ceil,
  round: lib.round,
  trunc: lib.trunc,
  clip: lib.clip,
  where: lib.where,
  isNaN: lib.isNaN,
  isFinite: lib.isFinite,
  allClose: lib.allClose,
  sum: lib.sum,
  prod: lib.prod,
  mean: lib.mean,
  variance: lib.variance,
  std: lib.std,
  max: lib.max,
  min: lib.min,
  argMax: lib.argMax,
  argMin: lib.argMin,
  all: lib.all,
  any: lib.any,
  logSumExp: lib.logSumExp,
  norm: lib.norm,
  cumsum: lib.cumsum,
  cumprod: lib.cumprod,
  cummax: lib.cummax,
  cummin: lib.cummin,
  softmax: lib.softmax,
  logSoftmax: lib.logSoftmax,
  conv1d: lib.conv1d,
  conv2d: lib.conv2d,
  convTranspose2d: lib.convTranspose2d,
  depthwiseConv2d: lib.depthwiseConv2d,
  matmul: lib.matmul,
  dot: lib.dot,
  outer: lib.outer,
  tensordot: lib.tensordot,
  einsum: (x, spec, ...others) => lib.einsum(spec, x, ...others),
  reshape: lib.reshape,
  flatten: lib.flatten,
  squeeze: lib.squeeze,
  expandDims: lib.expandDims,
  transpose: lib.transpose,
  swapAxes: lib.swapAxes,
  broadcastTo: lib.broadcastTo,
  concat: (x, others, axis) => lib.concat([x, ...asList(others)], axis),
  stack: (x, others, axis) => lib.stack([x, ...asList(others)], axis),
  split: lib.split,
  tile: lib.tile,
  repeat: lib.repeat,
  flip: lib.flip,
  roll: lib.roll,
  pad: lib.pad,
  slice: lib.slice,
  triu: lib.triu,
  tril: lib.tril,
  diag: lib.diag,
  trace: lib.trace,
  at: lib.at,
  gather: lib.gather,
  takeAlongAxis: lib.takeAlongAxis,
  sort: lib.sort,
  argSort: lib.argSort,
  topK: lib.topK,
  set: lib.set,
  addAt: lib.addAt,
  oneHot: lib.oneHot,
  cast: lib.cast,
  zerosLike: lib.zerosLike,
  onesLike: lib.onesLike,
  stopGradient,
};

for (const [name, apply] of Object.entries(methods)) {
  const method = function (this: TensorLike, ...args: unknown[]): unknown {
    return (apply as (x: TensorLike, ...rest: unknown[]) => unknown)(this, ...args);
  };
  Object.defineProperty(method, "name", { value: name });
  for (const prototype of [Tensor.prototype, Variable.prototype])
    Object.defineProperty(prototype, name, { value: method, writable: true, configurable: true });
}

/** Names of the methods that array functions give. */
export const methodNames: readonly string[] = Object.keys(methods);
