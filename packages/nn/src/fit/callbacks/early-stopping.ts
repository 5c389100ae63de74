/** Ends training when a value no longer gets better. */
import { SinterError } from "@sinter/tracer";
import { checkOptions, describeValue } from "@sinter/tracer/errors";
import { type Callback, type Logs, monitored } from "../history.ts";
import { Snapshot } from "../snapshot.ts";

export interface MonitorOptions {
  /** The value that is watched: "loss", "accuracy", "valAccuracy" ...; "valLoss" where there is a validation, else "loss". */
  readonly monitor?: string;
  /** How many epochs it may get no better. */
  readonly patience?: number;
  /** What counts as better: by more than this; 0 unless given. */
  readonly minDelta?: number;
  /** Whether less or more is better: by the name unless given ("max" for accuracy, precision, recall, f1, auc, topK). */
  readonly mode?: "min" | "max";
}

export interface EarlyStoppingOptions extends MonitorOptions {
  /** Whether the model gets the weights of its best epoch back at the end; true unless given. Holds them all the while. */
  readonly restoreBest?: boolean;
}

/** Ends training after `patience` epochs (0 unless given) in which the monitored value got no better. */
export function earlyStopping(options: EarlyStoppingOptions = {}): Callback {
  const { restoreBest = true, patience = 0 } = options;
  const watch = watcher("earlyStopping", options, ["restoreBest"]);
  let best: Snapshot | undefined;
  return {
    onTrainBegin() {
      watch.reset();
    },
    onEpochEnd(logs, run) {
      const since = watch.epochsSinceBest(logs);
      if (since === 0) {
        best?.dispose();
        best = restoreBest ? new Snapshot(run.model.variables) : undefined;
      } else if (since > 0 && since >= patience) {
        run.stop(
          `earlyStopping: ${watch.name(logs)} got no better than ${watch.best} in ${since} epoch${since === 1 ? "" : "s"}`,
        );
      }
    },
    onTrainEnd(run) {
      // An interrupted run goes on later, from where it was.
      if (run.error === undefined && !run.history.interrupted) best?.restore();
      best?.dispose();
      best = undefined;
    },
  };
}

/** What follows a value from epoch to epoch. */
export interface Watcher {
  /** The best value so far. */
  readonly best: number;
  name(logs: Logs): string;
  /** Takes an epoch's values: 0 where it is the best one so far. */
  epochsSinceBest(logs: Logs): number;
  /** Counts anew from here on; the best stays. */
  forgive(): void;
  reset(): void;
}

export function watcher(caller: string, options: MonitorOptions, more: readonly string[]): Watcher {
  checkOptions(caller, options, ["monitor", "patience", "minDelta", "mode", ...more]);
  const { monitor, patience = 0, minDelta = 0, mode } = options;
  if (!(Number.isInteger(patience) && patience >= 0))
    throw new SinterError(`${caller}: patience must be a whole number from 0 on, not ${describeValue(patience)}`);
  if (!(typeof minDelta === "number" && minDelta >= 0))
    throw new SinterError(`${caller}: minDelta must be a number from 0 on, not ${describeValue(minDelta)}`);
  if (mode !== undefined && mode !== "min" && mode !== "max")
    throw new SinterError(`${caller}: mode must be "min" or "max", not ${describeValue(mode)}`);
  const nameIn = (logs: Logs): string => monitor ?? (Object.hasOwn(logs, "valLoss") ? "valLoss" : "loss");
  let best: number | undefined;
  let since = 0;
  return {
    get best() {
      return best ?? Number.NaN;
    },
    name: nameIn,
    epochsSinceBest(logs) {
      const name = nameIn(logs);
      const value = monitored(caller, logs, name);
      const isMore = mode === undefined ? /(accuracy|precision|recall|f1|auc|topK)/i.test(name) : mode === "max";
      const gain = best === undefined ? Number.POSITIVE_INFINITY : isMore ? value - best : best - value;
      if (!(gain > minDelta)) return ++since;
      best = value;
      since = 0;
      return 0;
    },
    forgive() {
      since = 0;
    },
    reset() {
      best = undefined;
      since = 0;
    },
  };
}
