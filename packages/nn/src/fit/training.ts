/** The course of training: epochs, what is called between steps, how it ends before its time. */
import { compile, type FunctionOptions, SinterError, type Variable } from "@sinter/tracer";
import { type Batch, type Batches, batchCount, batchOf, elementsOf } from "./batches.ts";
import { Evaluator, located } from "./evaluate.ts";
import { type Callback, type EpochLogs, type History, type Logs, NonFiniteLossError, type Run } from "./history.ts";
import { turn } from "./host.ts";
import { type Interrupt, listen } from "./interrupt.ts";
import type { FitOptions } from "./options.ts";
import { build, type Model, type Pass, type Report } from "./pass.ts";
import { Snapshot } from "./snapshot.ts";

/** After so many milliseconds of steps everything else has a turn, and the totals are read. */
const pauseAfter = 50;

export class Training implements Run {
  readonly model: Model<unknown>;
  readonly epochs: number;
  readonly stepsPerEpoch: number | undefined;
  epoch: number;
  step: number;
  logs: Logs = {};
  error: unknown;
  private readonly dataset: Batches;
  private readonly options: FitOptions<unknown, unknown>;
  private readonly make: (first: Batch) => Pass;
  private readonly callbacks: readonly Callback[];
  private readonly perBatch: readonly Callback[];
  private readonly evaluator: Evaluator<unknown, unknown> | undefined;
  private readonly interrupt: Interrupt;
  private readonly finished: EpochLogs[] = [];
  private pass: Pass | undefined;
  /** Of the last good epoch. */
  private good: Snapshot | undefined;
  private areFinite: (() => Promise<boolean>) | undefined;
  private steps = 0;
  private stopped: string | undefined;
  private interrupted = false;
  private isBetween = true;
  private paused = 0;

  constructor(
    model: Model<unknown>,
    dataset: Batches,
    options: FitOptions<unknown, unknown>,
    make: (first: Batch) => Pass,
  ) {
    const { epochs = 1, stepsPerEpoch, initialEpoch = 0, initialStep = 0, callbacks = [], validation } = options;
    const { loss, metrics = [], compile: settings = {}, interrupt = true, signal } = options;
    const count = batchCount(dataset);
    if (count === 0) throw new SinterError("fit: the dataset is empty: it has no batches");
    if (count === Number.POSITIVE_INFINITY && stepsPerEpoch === undefined)
      throw new SinterError("fit: the dataset repeats without end: say how many batches an epoch has (stepsPerEpoch)");
    this.model = model;
    this.dataset = dataset;
    this.options = options;
    this.make = make;
    this.epochs = epochs;
    this.stepsPerEpoch =
      stepsPerEpoch === undefined ? count : count === undefined ? stepsPerEpoch : Math.min(stepsPerEpoch, count);
    this.epoch = initialEpoch;
    this.step = initialStep;
    this.callbacks = callbacks.filter((each) => each !== undefined);
    this.perBatch = this.callbacks.filter(({ onBatchEnd }) => onBatchEnd !== undefined);
    if (validation !== undefined) this.evaluator = new Evaluator("fit", model, { loss, metrics, compile: settings });
    this.interrupt = listen(interrupt, signal);
  }

  get optimizer() {
    return this.options.optimizer;
  }

  get position() {
    return this.isBetween ? { epoch: this.epoch, step: this.step } : { epoch: this.epoch - 1, step: this.step };
  }

  get history(): History {
    const { finished: epochs, interrupted, stopped, steps, position } = this;
    return { epochs, interrupted, stopped, steps, position };
  }

  stop(reason: string): void {
    this.stopped ??= reason;
  }

  async run(): Promise<History> {
    try {
      await this.each("onTrainBegin");
      while (this.epoch < this.epochs && this.stopped === undefined) if (!(await this.trainEpoch())) break;
    } catch (error) {
      this.error = error;
    }
    try {
      for (const callback of this.callbacks) await this.ending(() => callback.onTrainEnd?.(this));
    } finally {
      this.interrupt.release();
      this.good?.dispose();
      this.pass?.dispose();
      this.evaluator?.dispose();
    }
    if (this.error !== undefined) throw this.error;
    return this.history;
  }

  /** All callbacks are told of the end, whatever becomes of one; the first error counts. */
  private async ending(body: () => void | Promise<void>): Promise<void> {
    try {
      await body();
    } catch (error) {
      this.error ??= error;
    }
  }

  private async each(moment: "onTrainBegin" | "onEpochBegin" | "onInterrupt"): Promise<void> {
    for (const callback of this.callbacks) await callback[moment]?.(this);
  }

  /** Whether there may be another epoch. */
  private async trainEpoch(): Promise<boolean> {
    const from = this.step;
    const started = performance.now();
    this.isBetween = false;
    this.epoch++;
    this.logs = {};
    await this.each("onEpochBegin");
    if (!(await this.trainSteps(from))) return false;
    // Training was interrupted after the last step of this epoch.
    if (this.step === from) return this.between();
    const report = await this.pass!.read();
    if (!(await this.isSound(report, true))) return false;
    const validation = await this.validate();
    if (validation === undefined) {
      this.between();
      await this.wasInterrupted();
      return false;
    }
    const { epoch, step } = this;
    const seconds = (performance.now() - started) / 1e3;
    const logs = { epoch, steps: step - from, seconds, ...report.logs, ...validation } as EpochLogs;
    this.logs = logs;
    this.finished.push(logs);
    this.between();
    this.keep();
    for (const callback of this.callbacks) await callback.onEpochEnd?.(logs, this);
    return !(await this.wasInterrupted());
  }

  private between(): true {
    this.step = 0;
    this.isBetween = true;
    return true;
  }

  /** Whether the epoch came to its end. */
  private async trainSteps(from: number): Promise<boolean> {
    const { dataset, stepsPerEpoch = Number.POSITIVE_INFINITY } = this;
    // A dataset without end goes on where the last epoch left it.
    const endless = batchCount(dataset) === Number.POSITIVE_INFINITY;
    const [epoch, first] = endless ? [0, (this.epoch - 1) * stepsPerEpoch + from] : [this.epoch - 1, from];
    this.pass?.reset();
    this.paused = performance.now();
    if (from < stepsPerEpoch)
      for await (const { element, owned } of elementsOf(dataset, epoch, first)) {
        this.trainStep(element, owned);
        for (const callback of this.perBatch) {
          const done = callback.onBatchEnd!(this);
          if (done !== undefined) await done;
        }
        if (this.stopped !== undefined) return false;
        if (this.step >= stepsPerEpoch) break;
        if (performance.now() - this.paused > pauseAfter && !(await this.pause())) return false;
      }
    if (this.step === 0)
      throw new SinterError(
        `fit: the dataset gave no batches in epoch ${this.epoch}${this.epoch > 1 ? "; what can be gone through only once, as a generator, must be given as the function that makes it" : ": it is empty"}`,
      );
    return true;
  }

  private trainStep(element: unknown, owned: boolean): void {
    const batch = batchOf("fit", element, owned);
    try {
      if (this.pass === undefined) {
        build(this.model, batch.x);
        this.pass = this.make(batch);
        this.keep();
      }
      this.pass.run(batch);
    } catch (error) {
      throw located(error, `fit: epoch ${this.epoch}, step ${this.step + 1}`);
    } finally {
      batch.free();
    }
    this.step++;
    this.steps++;
  }

  /** Whether training may go on. */
  private async pause(): Promise<boolean> {
    await turn();
    const report = await this.pass!.read();
    this.logs = report.logs;
    const goesOn = (await this.isSound(report, false)) && !(await this.wasInterrupted());
    this.paused = performance.now();
    return goesOn;
  }

  private async wasInterrupted(): Promise<boolean> {
    if (!this.interrupt.asked || this.interrupted) return this.interrupted;
    this.interrupted = true;
    await this.each("onInterrupt");
    return true;
  }

  /** Whether loss, and at the end of an epoch weights too, are finite; else the last good ones are taken back. */
  private async isSound({ badStep, badLoss }: Report, isEnd: boolean): Promise<boolean> {
    const sound = badStep === 0 && (!isEnd || (await this.weightsAreFinite()));
    if (sound) return true;
    this.good?.restore();
    const { epoch } = this;
    const first = this.finished.length === 0;
    const step = badStep === 0 ? this.step : badStep + (this.step - this.stepsOfTotals());
    const what = badStep === 0 ? "weights became NaN or infinite" : `the loss is ${badLoss}`;
    const message = `fit: in epoch ${epoch}, step ${step}, ${what}; model and optimiser are again what they were ${first ? "at the beginning" : `after epoch ${epoch - 1}`}. Try a lower learning rate, or clipNorm`;
    if (this.options.onNaN !== "stop") throw new NonFiniteLossError(message, epoch, step);
    this.stop(message);
    return false;
  }

  /** Steps that the totals are of: those of this epoch in this call. */
  private stepsOfTotals(): number {
    const { initialEpoch = 0, initialStep = 0 } = this.options;
    return this.epoch === initialEpoch + 1 ? this.step - initialStep : this.step;
  }

  private async weightsAreFinite(): Promise<boolean> {
    this.areFinite ??= finiteness(
      this.model.trainableVariables.filter(({ dtype }) => dtype.startsWith("f")),
      this.options.compile?.backend === undefined ? {} : { backend: this.options.compile.backend },
    );
    return await this.areFinite();
  }

  /** What there is now is good. */
  private keep(): void {
    this.good?.dispose();
    this.good = new Snapshot([...this.model.variables, ...this.optimizer.variables]);
  }

  /** Undefined where it was interrupted. */
  private async validate(): Promise<Logs | undefined> {
    const { validation } = this.options;
    if (validation === undefined || this.evaluator === undefined) return {};
    const logs = await this.evaluator.run(validation, "validation", () => this.interrupt.asked);
    if (logs === undefined) return undefined;
    return Object.fromEntries(
      Object.entries(logs).map(([name, value]) => [`val${name[0]!.toUpperCase()}${name.slice(1)}`, value]),
    );
  }
}

/** Asks whether all elements of variables are finite. */
function finiteness(variables: readonly Variable[], options: FunctionOptions): () => Promise<boolean> {
  const all = compile(() => variables.map((each) => each.isFinite().all()).reduce((sofar, each) => sofar.and(each)), {
    name: "fitFinite",
    ...options,
    autograph: false,
  });
  return async () => {
    using answer = all();
    return (await answer.data())[0] === 1;
  };
}
