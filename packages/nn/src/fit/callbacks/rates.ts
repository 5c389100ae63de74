/** Learning rates that change between epochs. Schedules over steps are in `optim.schedules`. */
import { SinterError } from "@sinter/tracer";
import { describeValue } from "@sinter/tracer/errors";
import type { Callback, Run } from "../history.ts";
import { type MonitorOptions, watcher } from "./early-stopping.ts";

/**
 * Sets the learning rate before each epoch to `rate(epoch, now)`: the epoch's number, from 1, and the rate so far. For
 * optimisers whose learning rate is a number.
 */
export function learningRateSchedule(rate: (epoch: number, now: number) => number): Callback {
  const caller = "learningRateSchedule";
  if (typeof rate !== "function")
    throw new SinterError(`${caller}: rate must be a function of the epoch, not ${describeValue(rate)}`);
  return {
    async onEpochBegin(run) {
      const now = await rateOf(caller, run);
      setRate(caller, run, rate(run.epoch, now));
    },
  };
}

export interface PlateauOptions extends MonitorOptions {
  /** What the learning rate is multiplied by; 0.1 unless given. */
  readonly factor?: number;
  /** The rate does not get below this; 0 unless given. */
  readonly minRate?: number;
}

/** Lowers the learning rate where a value got no better in `patience` epochs (10 unless given). */
export function reduceOnPlateau(options: PlateauOptions = {}): Callback {
  const caller = "reduceOnPlateau";
  const { factor = 0.1, minRate = 0, patience = 10 } = options;
  const watch = watcher(caller, options, ["factor", "minRate"]);
  if (!(factor > 0 && factor < 1))
    throw new SinterError(`${caller}: factor must be between 0 and 1, not ${describeValue(factor)}`);
  return {
    onTrainBegin() {
      watch.reset();
    },
    async onEpochEnd(logs, run) {
      if (watch.epochsSinceBest(logs) < Math.max(1, patience)) return;
      watch.forgive();
      const now = await rateOf(caller, run);
      setRate(caller, run, Math.max(minRate, now * factor));
    },
  };
}

async function rateOf(caller: string, { optimizer }: Run): Promise<number> {
  if (optimizer.isScheduled)
    throw new SinterError(`${caller}: the optimiser follows a schedule; give it a number as learningRate`);
  return (await optimizer.learningRate.data())[0]!;
}

function setRate(caller: string, { optimizer }: Run, rate: number): void {
  if (!(Number.isFinite(rate) && rate >= 0))
    throw new SinterError(`${caller}: the learning rate must be a number from 0 on, not ${describeValue(rate)}`);
  optimizer.learningRate.assign(rate);
}
