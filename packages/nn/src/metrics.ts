/**
 * Metrics: how well predictions fit labels, in numbers for people. Each is made of counts that add up over batches, so that
 * `fit` keeps counts in variables and a metric over an epoch is that of all its samples, not a mean of means.
 *
 * Labels are classes (i32 or u32 [...]) where predictions have one axis more, of the classes; else both have the same shape:
 * distributions over a last axis of two or more, or, with a last axis of 1 or none, chances from 0 to 1.
 */
import {
  arange,
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

type Options = Readonly<Record<string, unknown>>;

/** A metric: called, it gives the value of one batch. */
export interface Metric<O extends Options = Options> {
  (labels: TensorLike, predictions: TensorLike, options?: O): Tensor;
  /** What it is called in histories and logs. */
  readonly label: string;
  /** Counts of a batch, f32. Those of several batches add up. */
  counts(labels: TensorLike, predictions: TensorLike): Tensor[];
  /** The value of counts. */
  result(counts: readonly Tensor[]): Tensor;
  /** The same metric with other options. */
  with(options: O): Metric<O>;
}

/** A metric of counts and what they come to. */
function metric<O extends Options>(
  label: string,
  known: readonly (keyof O & string)[],
  counts: (labels: Tensor, predictions: Tensor, options: O) => Tensor[],
  result: (counts: readonly Tensor[]) => Tensor,
  fixed: O = {} as O,
): Metric<O> {
  const counted = (labels: TensorLike, predictions: TensorLike, options: O): Tensor[] => {
    checkOptions(`metrics.${label}`, options, known);
    return counts(asTensor(labels), asTensor(predictions), { ...fixed, ...options });
  };
  const call = (labels: TensorLike, predictions: TensorLike, options: O = {} as O): Tensor =>
    result(counted(labels, predictions, options));
  return Object.assign(call, {
    label,
    counts: (labels: TensorLike, predictions: TensorLike) => counted(labels, predictions, {} as O),
    result,
    with: (options: O) => metric(label, known, counts, result, { ...fixed, ...options }),
  });
}

export type ThresholdOptions = {
  /** From which chance on a prediction counts as true; 0.5 unless given. */
  readonly threshold?: number;
};
export type TopKOptions = {
  /** Among how many of the likeliest classes the label must be; 5 unless given. */
  readonly k?: number;
};
export type AucOptions = {
  /** How finely chances are told apart; 1000 unless given. */
  readonly bins?: number;
};

/** The part of the samples whose likeliest class is that of the label, or whose chance is on the side of its label. */
export const accuracy: Metric<ThresholdOptions> = /* @__PURE__ */ metric(
  "accuracy",
  ["threshold"],
  (labels, predictions, options) => {
    const { truth, guess } = classesOf("accuracy", labels, predictions, options);
    return shareOf(truth.eq(guess));
  },
  quotient,
);

/** The part of the samples whose label is among the `k` likeliest classes. */
export const topK: Metric<TopKOptions> = /* @__PURE__ */ metric(
  "topK",
  ["k"],
  (labels, predictions, { k = 5 }) => {
    const { truth, count } = classesOf("topK", labels, predictions, {});
    if (!(Number.isInteger(k) && k >= 1 && k <= count))
      throw new SinterError(`metrics.topK: k must be from 1 to the ${count} classes, not ${describeValue(k)}`);
    // How many classes are likelier: those of equal chance count for the label.
    const own = predictions.mul(truth.oneHot(count)).sum(-1, true);
    return shareOf(predictions.gt(own).cast("i32").sum(-1).lt(k));
  },
  quotient,
);

/** Of what was predicted true, the part that is: the mean over classes where there are several. 0 where nothing was. */
export const precision: Metric<ThresholdOptions> = /* @__PURE__ */ metric(
  "precision",
  ["threshold"],
  (...given) => hits("precision", ...given),
  ([both, guessed]) => ratio(both!, guessed!).mean(),
);

/** Of what is true, the part that was predicted so: the mean over classes where there are several. 0 where nothing is. */
export const recall: Metric<ThresholdOptions> = /* @__PURE__ */ metric(
  "recall",
  ["threshold"],
  (...given) => hits("recall", ...given),
  ([both, , real]) => ratio(both!, real!).mean(),
);

/** The harmonic mean of precision and recall of each class, and the mean of these. */
export const f1: Metric<ThresholdOptions> = /* @__PURE__ */ metric(
  "f1",
  ["threshold"],
  (...given) => hits("f1", ...given),
  ([both, guessed, real]) => ratio(both!.mul(2), guessed!.add(real!)).mean(),
);

/** How often label i was predicted as j: f32[classes, classes]. */
export const confusionMatrix: Metric<ThresholdOptions> = /* @__PURE__ */ metric(
  "confusionMatrix",
  ["threshold"],
  (labels, predictions, options) => {
    const { truth, guess, count } = classesOf("confusionMatrix", labels, predictions, options);
    const [real, guessed] = [truth, guess].map((each) => each.flatten().oneHot(count));
    return [real!.transpose().matmul(guessed!)];
  },
  ([matrix]) => matrix!,
);

/**
 * The chance that a true sample has a higher prediction than a false one (the area under the curve of true against false
 * positives), with predictions from 0 to 1 told apart by 1/bins; 0.5 where there are none of one kind.
 */
export const auc: Metric<AucOptions> = /* @__PURE__ */ metric(
  "auc",
  ["bins"],
  (labels, predictions, { bins = 1000 }) => {
    if (shapeText(labels) !== shapeText(predictions))
      throw new ShapeError(
        `metrics.auc: labels are ${describe(labels)}, predictions ${describe(predictions)}; the shapes must be the same`,
      );
    const bin = predictions
      .flatten()
      .mul(bins)
      .floor()
      .clip(0, bins - 1)
      .cast("i32");
    const truth = labels.flatten().ne(0).cast("f32");
    const none = tensor(new Float32Array(bins));
    return [none.addAt([bin], truth), none.addAt([bin], tensor(1).sub(truth))];
  },
  ([real, not]) => {
    const below = not!.cumsum().sub(not!.mul(0.5));
    const pairs = real!.sum().mul(not!.sum());
    return where(pairs.gt(0), real!.mul(below).sum().div(pairs.maximum(1)), 0.5);
  },
);

interface Classes {
  /** The class of each label, and of each prediction. */
  readonly truth: Tensor;
  readonly guess: Tensor;
  readonly count: number;
}

function classesOf(
  caller: string,
  labels: Tensor,
  predictions: Tensor,
  { threshold = 0.5 }: ThresholdOptions,
): Classes {
  const count = predictions.dims.at(-1) ?? 1;
  const same = shapeText(labels) === shapeText(predictions);
  const misfit = (): ShapeError =>
    new ShapeError(
      `metrics.${caller}: labels are ${describe(labels)}, predictions ${describe(predictions)}; predictions must have the same shape, or one axis more for the classes`,
    );
  if (!same) {
    const without = describe({ dtype: labels.dtype, shape: predictions.dims.slice(0, -1) });
    if (predictions.rank === 0 || typeof count !== "number" || describe(labels) !== without) throw misfit();
    if (labels.dtype.startsWith("f") || labels.dtype === "bool")
      throw new DTypeError(
        `metrics.${caller}: labels must be i32 or u32, not ${describe(labels)}: they are numbers of classes`,
      );
    return { truth: labels.cast("i32"), guess: predictions.argMax(-1), count };
  }
  if (predictions.rank > 1 && typeof count === "number" && count > 1)
    return { truth: labels.argMax(-1), guess: predictions.argMax(-1), count };
  return { truth: labels.ge(threshold).cast("i32"), guess: predictions.ge(threshold).cast("i32"), count: 2 };
}

/** By class: how often both are it, how often the prediction is, how often the label is. Of two, that of `true` alone. */
function hits(caller: string, labels: Tensor, predictions: Tensor, options: ThresholdOptions): Tensor[] {
  const { truth, guess, count } = classesOf(caller, labels, predictions, options);
  const chances =
    shapeText(labels) === shapeText(predictions) && !(predictions.rank > 1 && predictions.dims.at(-1) !== 1);
  const classes = chances ? tensor([1]) : arange(count);
  const [real, guessed] = [truth, guess].map((each) => each.flatten().expandDims(1).eq(classes).cast("f32"));
  return [real!.mul(guessed!), guessed!, real!].map((each) => each.sum(0));
}

function shareOf(right: Tensor): Tensor[] {
  const each = right.flatten().cast("f32");
  return [each.sum(), each.onesLike().sum()];
}

function quotient([part, whole]: readonly Tensor[]): Tensor {
  return ratio(part!, whole!);
}

/** a / b, and 0 where b is. */
function ratio(a: Tensor, b: Tensor): Tensor {
  return where(b.gt(0), a.div(b.maximum(1)), 0);
}

function asTensor(x: TensorLike): Tensor {
  return x instanceof Variable ? x.value : tensor(x);
}

function shapeText(x: Tensor): string {
  return describe({ dtype: "f32", shape: x.dims });
}
