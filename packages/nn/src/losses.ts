/**
 * Losses: how far predictions are from labels. Each gives one number a sample, reduced as `reduction` says: "mean" (the
 * default), "sum" or "none", which leaves one number a sample. Labels come first, as in Keras.
 */
import {
  assert,
  DTypeError,
  ShapeError,
  SinterError,
  type Tensor,
  type TensorLike,
  tensor,
  Variable,
  where,
} from "@sinter/tracer";
import { checkOptions, describe, describeValue } from "@sinter/tracer/errors";

export type Reduction = "mean" | "sum" | "none";

export interface LossOptions {
  readonly reduction?: Reduction;
}
export interface LogitOptions extends LossOptions {
  /** Whether predictions are logits, before a sigmoid or softmax; else they are probabilities. */
  readonly fromLogits?: boolean;
}
export interface HuberOptions extends LossOptions {
  /** Where squares become magnitudes; 1 unless given. */
  readonly delta?: number;
}

/** A loss as `fit` takes it. */
export type Loss = (labels: TensorLike, predictions: TensorLike) => Tensor;

/** Probabilities are kept this far from 0 and 1, so that their logarithm is finite, as in Keras. */
const smallest = 1e-7;

/** Mean over the last axis of (labels - predictions)^2. */
export function meanSquaredError(labels: TensorLike, predictions: TensorLike, options: LossOptions = {}): Tensor {
  const [y, p] = alike("meanSquaredError", labels, predictions, options);
  return reduced(perSample(y.sub(p).square()), options);
}

/** Mean over the last axis of |labels - predictions|. */
export function meanAbsoluteError(labels: TensorLike, predictions: TensorLike, options: LossOptions = {}): Tensor {
  const [y, p] = alike("meanAbsoluteError", labels, predictions, options);
  return reduced(perSample(y.sub(p).abs()), options);
}

/** Half the square up to `delta`, and linear from there (Huber 1964); mean over the last axis. */
export function huber(labels: TensorLike, predictions: TensorLike, options: HuberOptions = {}): Tensor {
  const [y, p] = alike("huber", labels, predictions, options, ["delta"]);
  const { delta = 1 } = options;
  const error = y.sub(p).abs();
  return reduced(
    perSample(where(error.le(delta), error.square().mul(0.5), error.sub(0.5 * delta).mul(delta))),
    options,
  );
}

/** Cross entropy of labels from 0 to 1, each by itself; mean over the last axis. */
export function binaryCrossentropy(labels: TensorLike, predictions: TensorLike, options: LogitOptions = {}): Tensor {
  const [y, p] = alike("binaryCrossentropy", labels, predictions, options, ["fromLogits"]);
  // log(1 + e^-|x|) + max(x, 0) - x y is that of a sigmoid without overflow.
  const each = options.fromLogits === true ? p.relu().sub(p.mul(y)).add(p.abs().neg().exp().log1p()) : entropy(y, p);
  return reduced(perSample(each), options);
}

/** Cross entropy of distributions over the last axis. */
export function categoricalCrossentropy(
  labels: TensorLike,
  predictions: TensorLike,
  options: LogitOptions = {},
): Tensor {
  const [y, p] = alike("categoricalCrossentropy", labels, predictions, options, ["fromLogits"]);
  return reduced(logProbabilities(p, options).mul(y).sum(-1).neg(), options);
}

/**
 * Cross entropy of labels that are numbers of classes: i32 or u32 [...], predictions [..., classes]. Fails where a label is
 * no class.
 */
export function sparseCategoricalCrossentropy(
  labels: TensorLike,
  predictions: TensorLike,
  options: LogitOptions = {},
): Tensor {
  const caller = "sparseCategoricalCrossentropy";
  checkAll(caller, options, ["fromLogits"]);
  const [given, p] = [asTensor(labels), asTensor(predictions)];
  const classes = p.dims.at(-1);
  if (typeof classes !== "number" || sizes(given.dims) !== sizes(p.dims.slice(0, -1)))
    throw new ShapeError(
      `losses.${caller}: labels are ${describe(given)}, predictions ${describe(p)}; predictions must have one axis more, of the classes`,
    );
  if (given.dtype.startsWith("f") || given.dtype === "bool")
    throw new DTypeError(
      `losses.${caller}: labels must be i32 or u32, not ${describe(given)}; cast them, or take categoricalCrossentropy for distributions`,
    );
  assert(
    given.ge(0).and(given.lt(classes)).all(),
    `losses.${caller}: a label is outside 0..${classes - 1}, and predictions have ${classes} classes`,
  );
  return reduced(logProbabilities(p, options).mul(given.oneHot(classes)).sum(-1).neg(), options);
}

/** max(0, 1 - labels * predictions), labels -1 or 1 (0 counts as -1); mean over the last axis. */
export function hinge(labels: TensorLike, predictions: TensorLike, options: LossOptions = {}): Tensor {
  const [y, p] = alike("hinge", labels, predictions, options);
  const sign = where(y.le(0), tensor(-1), tensor(1));
  return reduced(perSample(tensor(1).sub(sign.mul(p)).relu()), options);
}

/** Kullback and Leibler's divergence of predictions from labels, distributions over the last axis. */
export function klDivergence(labels: TensorLike, predictions: TensorLike, options: LossOptions = {}): Tensor {
  const [y, p] = alike("klDivergence", labels, predictions, options);
  const [from, to] = [y.clip(smallest, 1), p.clip(smallest, 1)];
  return reduced(from.mul(from.log().sub(to.log())).sum(-1), options);
}

function entropy(y: Tensor, p: Tensor): Tensor {
  const inside = p.clip(smallest, 1 - smallest);
  return y
    .mul(inside.log())
    .add(tensor(1).sub(y).mul(tensor(1).sub(inside).log()))
    .neg();
}

function logProbabilities(p: Tensor, { fromLogits = false }: LogitOptions): Tensor {
  return fromLogits
    ? p.logSoftmax(-1)
    : p
        .div(p.sum(-1, true))
        .clip(smallest, 1 - smallest)
        .log();
}

function perSample(each: Tensor): Tensor {
  return each.rank === 0 ? each : each.mean(-1);
}

function reduced(each: Tensor, { reduction = "mean" }: LossOptions): Tensor {
  return reduction === "none" ? each : reduction === "sum" ? each.sum() : each.mean();
}

function checkAll(caller: string, options: LossOptions, more: readonly string[]): void {
  checkOptions(`losses.${caller}`, options, ["reduction", ...more]);
  const { reduction = "mean" } = options;
  if (!["mean", "sum", "none"].includes(reduction))
    throw new SinterError(
      `losses.${caller}: reduction must be "mean", "sum" or "none", not ${describeValue(reduction)}`,
    );
}

function asTensor(x: TensorLike): Tensor {
  return x instanceof Variable ? x.value : tensor(x);
}

/** Both as floats of one shape. */
function alike(
  caller: string,
  labels: TensorLike,
  predictions: TensorLike,
  options: LossOptions,
  more: readonly string[] = [],
): [labels: Tensor, predictions: Tensor] {
  checkAll(caller, options, more);
  const [y, p] = [asTensor(labels), asTensor(predictions)];
  if (sizes(y.dims) !== sizes(p.dims))
    throw new ShapeError(
      `losses.${caller}: labels are ${describe(y)}, predictions ${describe(p)}; the shapes must be the same`,
    );
  return [y.dtype === p.dtype ? y : y.cast(p.dtype), p];
}

/** Sizes as text: symbolic ones by their names. */
function sizes(dims: Tensor["dims"]): string {
  return describe({ dtype: "f32", shape: dims });
}
