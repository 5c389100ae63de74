/** Loss and metrics of a model over a dataset. */
import { AssertionError, SinterError, tensor } from "@sinter/tracer";
import { checkOptions } from "@sinter/tracer/errors";
import { type Batch, type Batches, batchOf, checkBatches, elementsOf } from "./batches.ts";
import type { Logs } from "./history.ts";
import { turn } from "./host.ts";
import {
  build,
  checkLoss,
  checkModel,
  type LossOf,
  type Measures,
  type Model,
  meanLoss,
  Pass,
  type StepOptions,
} from "./pass.ts";

export interface EvaluateOptions<Y, P> {
  /** Unless given, only metrics are computed. Penalties of the model count as loss. */
  readonly loss?: LossOf<Y, P>;
  readonly metrics?: Measures;
  /** How many batches are taken; all unless given. */
  readonly steps?: number;
  /** How the step is compiled. */
  readonly compile?: StepOptions;
}

/**
 * Loss and metrics of a model, called with `training: false`, over all samples of the batches: { loss, accuracy, ... }. Compiled
 * once, and read once. Throws where there are no batches.
 */
export async function evaluate<Y = unknown, P = unknown>(
  model: Model<P>,
  dataset: Batches,
  options: EvaluateOptions<Y, P>,
): Promise<Logs> {
  checkModel("evaluate", model);
  checkOptions("evaluate", options, ["loss", "metrics", "steps", "compile"]);
  const evaluator = new Evaluator("evaluate", model, options);
  try {
    return await evaluator.run(dataset, "dataset");
  } finally {
    evaluator.dispose();
  }
}

/** Evaluates a model again and again by one compiled step. */
export class Evaluator<Y, P> {
  private readonly caller: string;
  private readonly model: Model<P>;
  private readonly options: EvaluateOptions<Y, P>;
  private pass: Pass | undefined;

  constructor(caller: string, model: Model<P>, options: EvaluateOptions<Y, P>) {
    if (options.loss !== undefined) checkLoss(caller, options.loss);
    this.caller = caller;
    this.model = model;
    this.options = options;
  }

  /** `interrupted` is asked after each batch; where it says so, nothing is given. */
  async run(dataset: Batches, name: string): Promise<Logs>;
  async run(dataset: Batches, name: string, interrupted: () => boolean): Promise<Logs | undefined>;
  async run(dataset: Batches, name: string, interrupted = (): boolean => false): Promise<Logs | undefined> {
    const { caller } = this;
    checkBatches(caller, name, dataset);
    const { steps = Number.POSITIVE_INFINITY } = this.options;
    let step = 0;
    let paused = performance.now();
    for await (const { element, owned } of elementsOf(dataset, 0, 0)) {
      const batch = batchOf(caller, element, owned);
      try {
        if (step++ === 0) (this.pass ??= this.make(batch)).reset();
        this.pass!.run(batch);
      } catch (error) {
        throw located(error, `${caller}: ${name}, batch ${step}`);
      } finally {
        batch.free();
      }
      if (step >= steps) break;
      if (performance.now() - paused > 50) {
        await turn();
        paused = performance.now();
        if (interrupted()) return undefined;
      }
    }
    if (step === 0) throw new SinterError(`${caller}: ${name} is empty: it has no batches`);
    const { logs } = await this.pass!.read();
    const { loss, ...metrics } = logs;
    return this.options.loss === undefined ? metrics : { loss: loss!, ...metrics };
  }

  dispose(): void {
    this.pass?.dispose();
  }

  private make(first: Batch): Pass {
    const { model, caller } = this;
    const { loss, metrics = [], compile = {} } = this.options;
    build(model, first.x);
    const body = (x: unknown, y: unknown) => {
      const predictions = model.call(x as never, { training: false });
      const value =
        loss === undefined
          ? tensor(0, { dtype: "f32" })
          : meanLoss(caller, loss(y as Y, predictions)).add(model.penalty());
      return { loss: value, predictions };
    };
    return new Pass(caller, model, body, metrics, compile, first);
  }
}

/** A check that failed, with the place where. */
export function located(error: unknown, place: string): unknown {
  if (!(error instanceof AssertionError)) return error;
  const better = new AssertionError(`${place}: ${error.message}`, { place: error.where ?? "" });
  better.cause = error;
  return better;
}
