/**
 * One compiled step and what it adds up: the loss, the counts of the metrics, and where the loss stopped being finite. All
 * of that is in variables of the step, so that no step is read back.
 */
import {
  type CompiledFunction,
  compile,
  evalShape,
  type FunctionOptions,
  SinterError,
  type Spec,
  scope,
  stack,
  Tensor,
  tensor,
  type Variable,
  variable,
  where,
} from "@sinter/tracer";
import { describe, describeValue } from "@sinter/tracer/errors";
import type { Metric } from "../metrics.ts";
import { type CallOptions, Module } from "../module.ts";
import type { Batch } from "./batches.ts";
import type { Logs } from "./history.ts";

/** A module from a batch of inputs, a tensor or a tree of them, to predictions. */
export type Model<P = Tensor> = Module & { call(x: never, options?: CallOptions): P };

/** How far predictions are from labels: a scalar, or one number a sample, whose mean counts. */
export type LossOf<Y, P> = (labels: Y, predictions: P) => Tensor;

/** What `fit` needs of a metric. */
export type Measure = Pick<Metric, "label" | "counts" | "result">;

/** Metrics, which are called by their labels, or by the names given here. */
export type Measures = readonly Measure[] | Readonly<Record<string, Measure>>;

/** How the step is compiled. */
export type StepOptions = Pick<FunctionOptions, "backend" | "fastMath" | "precision" | "debug" | "verify">;

/** What was read of the totals. */
export interface Report {
  readonly logs: Logs;
  /** The first step, from 1, whose loss was not finite, and that loss; 0 where all were. */
  readonly badStep: number;
  readonly badLoss: number;
}

/** How many shapes of batches get programs of their own; what comes after shares those of symbolic sizes. */
const ownPrograms = 2;

export class Pass {
  private readonly measures: readonly (readonly [name: string, Measure])[];
  private readonly loss = scalar("loss", "f32");
  private readonly rows = scalar("rows", "f32");
  private readonly steps = scalar("steps", "i32");
  private readonly badStep = scalar("badStep", "i32");
  private readonly badLoss = scalar("badLoss", "f32");
  private readonly counts: readonly (readonly Variable[])[];
  private readonly step: CompiledFunction<[unknown, unknown], void>;
  private readonly symbolic: CompiledFunction<[unknown, unknown], void>;
  private readonly totals: CompiledFunction<[], Tensor>;
  private readonly known = new Set<string>();

  /**
   * `body` gives the loss and the predictions of a batch, and does what else a step does. `first` tells what the model's counts
   * are like.
   */
  constructor(
    caller: string,
    model: Model<unknown>,
    body: (x: unknown, y: unknown) => { readonly loss: Tensor; readonly predictions: unknown },
    measures: Measures,
    options: StepOptions,
    first: Batch,
  ) {
    this.measures = named(caller, measures);
    this.counts = countsLike(caller, this.measures, model, first);
    const step = (x: unknown, y: unknown): void => {
      const { loss, predictions } = body(x, y);
      this.add(loss.cast("f32"), rowsIn(x));
      for (const [i, [, measure]] of this.measures.entries())
        for (const [k, count] of measure.counts(y as Tensor, predictions as Tensor).entries())
          this.counts[i]![k]!.assignAdd(count);
    };
    const settings = { name: `${caller}Step`, ...options, autograph: false };
    this.step = compile(step, settings);
    this.symbolic = compile(step, { ...settings, reduceRetracing: true });
    this.totals = compile(() => this.reported(), { name: `${caller}Totals`, ...options, autograph: false });
    this.reset();
  }

  /** How often the step was traced. */
  get traces(): number {
    return this.step.traces + this.symbolic.traces;
  }

  run({ x, y, key }: Batch): void {
    if (!this.known.has(key) && this.known.size < ownPrograms) this.known.add(key);
    (this.known.has(key) ? this.step : this.symbolic)(x, y);
  }

  /** All totals become 0. */
  reset(): void {
    for (const each of this.variables()) {
      const { dtype, shape, size } = each;
      using zero = tensor(dtype === "i32" ? new Int32Array(size) : new Float32Array(size), { shape });
      each.assign(zero);
    }
  }

  /** The values of the steps so far. Waits for them where they run on a GPU. */
  async read(): Promise<Report> {
    using totals = this.totals();
    const [badStep, badLoss, loss, ...values] = await totals.data();
    const entries = this.measures.map(([name], i) => [name, values[i]!] as const);
    return { logs: Object.fromEntries([["loss", loss!], ...entries]), badStep: badStep!, badLoss: badLoss! };
  }

  dispose(): void {
    for (const each of this.variables()) each.dispose();
  }

  private variables(): Variable[] {
    return [this.loss, this.rows, this.steps, this.badStep, this.badLoss, ...this.counts.flat()];
  }

  private add(loss: Tensor, rows: Tensor): void {
    this.steps.assignAdd(1);
    this.rows.assignAdd(rows);
    this.loss.assignAdd(loss.mul(rows));
    const isFirst = this.badStep.eq(0).and(loss.isFinite().not());
    this.badStep.assign(where(isFirst, this.steps, this.badStep));
    this.badLoss.assign(where(isFirst, loss, this.badLoss));
  }

  private reported(): Tensor {
    const values = this.measures.map(([, measure], i) =>
      measure.result(this.counts[i]!.map((count) => count.value)).cast("f32"),
    );
    return stack([this.badStep.cast("f32"), this.badLoss.value, this.loss.div(this.rows), ...values]);
  }
}

/** Makes the variables of a model that has none yet. */
export function build(model: Model<unknown>, x: unknown): void {
  try {
    void model.variables;
  } catch {
    scope(() => void model.call(x as never));
    void model.variables;
  }
}

/** Throws where something is no model. */
export function checkModel(caller: string, model: unknown): void {
  if (!(model instanceof Module) || typeof (model as { call?: unknown }).call !== "function")
    throw new SinterError(`${caller}: model must be a module with a method call, not ${describeValue(model)}`);
}

export function checkLoss(caller: string, loss: unknown): void {
  if (typeof loss !== "function")
    throw new SinterError(
      `${caller}: loss must be a function of labels and predictions, such as losses.meanSquaredError, not ${describeValue(loss)}`,
    );
}

/** The mean of what a loss gives, where that is a number for each sample. */
export function meanLoss(caller: string, value: unknown): Tensor {
  if (value instanceof Tensor) return value.rank === 0 ? value : value.mean();
  throw new SinterError(`${caller}: loss must return a tensor, not ${describeValue(value)}`);
}

function named(caller: string, measures: Measures): (readonly [string, Measure])[] {
  const entries = Array.isArray(measures)
    ? (measures as readonly Measure[]).map((each) => [each?.label, each] as const)
    : Object.entries(measures);
  for (const [i, [name, measure]] of entries.entries()) {
    if (typeof measure?.counts !== "function" || typeof measure.result !== "function")
      throw new SinterError(
        `${caller}: metrics must be those of metrics, such as metrics.accuracy, not ${describeValue(measure)}`,
      );
    if (name === "loss" || entries.findIndex(([other]) => other === name) < i)
      throw new SinterError(
        `${caller}: two metrics are called ${name}; name them: metrics: { first: ..., second: ... }`,
      );
  }
  return entries;
}

/** Variables for the counts of the metrics, of the sizes that those of this batch have. */
function countsLike(
  caller: string,
  measures: readonly (readonly [string, Measure])[],
  model: Model<unknown>,
  { x, y }: Batch,
): Variable[][] {
  if (measures.length === 0) return [];
  const shapes = evalShape(
    (inputs: unknown, labels: unknown) => {
      const predictions = model.call(inputs as never);
      return measures.map(([, measure]) => {
        const counts = measure.counts(labels as Tensor, predictions as Tensor);
        return { counts, result: measure.result(counts) };
      });
    },
    x,
    y,
  ) as { readonly counts: readonly Spec[]; readonly result: Spec }[];
  return shapes.map(({ counts, result }, i) => {
    const name = measures[i]![0];
    if (result.shape.length > 0)
      throw new SinterError(
        `${caller}: the metric ${name} gives ${describe(result as Tensor)}, and histories are of numbers; call it on what predict gives: metrics.${name}(labels, await predict(model, x))`,
      );
    return counts.map(({ shape, dtype }, k) =>
      scope(() =>
        variable(
          tensor(new Float32Array(shape.reduce<number>((n, size) => n * (size as number), 1)), {
            shape: shape as number[],
          }).cast(dtype),
          {
            name: `${caller}.${name}.${k}`,
            trainable: false,
          },
        ),
      ),
    );
  });
}

function scalar(name: string, dtype: "f32" | "i32"): Variable {
  using zero = tensor(0, { dtype });
  return variable(zero, { name: `fit.${name}`, trainable: false });
}

/** How many rows the first tensor of a tree has, which may be symbolic. */
function rowsIn(tree: unknown): Tensor {
  let first = tree;
  while (!(first instanceof Tensor)) first = Object.values(first as object)[0];
  const rows = first.dims[0]!;
  if (typeof rows === "number") return tensor(rows, { dtype: "f32" });
  const one = first.cast("f32").onesLike();
  return one.sum().div(one.mean(0).sum());
}
