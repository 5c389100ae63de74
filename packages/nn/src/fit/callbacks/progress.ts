/** Shows how far training is: a bar in terminals, else a line for each epoch. */
import { checkOptions } from "@sinter/tracer/errors";
import type { Callback, Logs } from "../history.ts";
import { hostProcess, optionalModule } from "../host.ts";

export interface ProgressOptions {
  /** "bar" draws with the optional package cli-progress, where it is installed and there is a terminal; "auto" unless given. */
  readonly style?: "auto" | "bar" | "lines";
  /** Where lines go; console.log unless given. */
  readonly log?: (line: string) => void;
}

/** What is used of cli-progress, written out: it need not be there. */
interface Bar {
  start(total: number, value: number, payload: object): void;
  update(value: number, payload: object): void;
  stop(): void;
}
interface CliProgress {
  readonly SingleBar: new (options: object) => Bar;
}

/** A bar for each epoch with the values so far, which stays as a line with those of the epoch. */
export function progress(options: ProgressOptions = {}): Callback {
  checkOptions("progress", options, ["style", "log"]);
  const { style = "auto", log = console.log } = options;
  let library: CliProgress | undefined;
  let bar: Bar | undefined;
  let started = 0;
  let first = 0;
  return {
    async onTrainBegin() {
      const isTerminal = hostProcess()?.stderr?.isTTY === true;
      if (style === "bar" || (style === "auto" && isTerminal))
        library = await optionalModule<CliProgress>("cli-", "progress");
    },
    onEpochBegin(run) {
      started = performance.now();
      first = run.step;
      if (library === undefined) return;
      const { stepsPerEpoch } = run;
      const total = stepsPerEpoch === undefined ? "" : "{bar} {value}/{total} ";
      bar = new library.SingleBar({
        format: `epoch {epoch}/{epochs} ${total}{text}`,
        barsize: 24,
        hideCursor: true,
        noTTYOutput: true,
        notTTYSchedule: 2000,
      });
      bar.start(stepsPerEpoch ?? 0, first, { epoch: run.epoch, epochs: run.epochs, text: "" });
    },
    onBatchEnd(run) {
      if (bar === undefined) return;
      const rate = ((run.step - first) / (performance.now() - started)) * 1e3;
      bar.update(run.step, { text: `${valuesText(run.logs)} ${rate.toFixed(0)} steps/s` });
    },
    onEpochEnd(logs, run) {
      const text = `${valuesText(logs)} ${logs.seconds.toFixed(1)} s`;
      if (bar === undefined) log(`epoch ${logs.epoch}/${run.epochs} ${logs.steps} steps ${text}`);
      else bar.update(first + logs.steps, { text });
      bar?.stop();
      bar = undefined;
    },
    onInterrupt() {
      bar?.stop();
      bar = undefined;
      log("training was interrupted, and ends after this step; once more ends the process");
    },
    onTrainEnd({ history }) {
      bar?.stop();
      bar = undefined;
      if (history.stopped !== undefined) log(history.stopped);
    },
  };
}

/** "loss 0.1234 accuracy 0.9500" */
function valuesText(logs: Logs): string {
  return Object.entries(logs)
    .filter(([name]) => !["epoch", "steps", "seconds"].includes(name))
    .map(
      ([name, value]) => `${name} ${value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(2) : value.toFixed(4)}`,
    )
    .join(" ");
}
