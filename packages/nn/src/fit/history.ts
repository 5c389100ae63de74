/** What training leaves behind, and what callbacks see of it while it goes on. */
import { SinterError } from "@sinter/tracer";
import type { Module } from "../module.ts";
import type { Optimizer } from "../optim/index.ts";

/** Values by name: "loss", the metrics by their labels, and with "val" before them ("valLoss") those of the validation. */
export type Logs = Readonly<Record<string, number>>;

/** An epoch's values, each over all its samples. */
export type EpochLogs = Logs & {
  /** Which epoch it was, from 1. */
  readonly epoch: number;
  /** Its steps. */
  readonly steps: number;
  /** How long it took, with its validation. */
  readonly seconds: number;
  readonly loss: number;
};

/** How far training is: what `initialEpoch` and `initialStep` say to go on from there. */
export interface Position {
  /** Epochs that are done. */
  readonly epoch: number;
  /** Steps of the next one that are done. */
  readonly step: number;
}

export interface History {
  /** The epochs that were finished. */
  readonly epochs: readonly EpochLogs[];
  /** Whether Ctrl-C or a signal ended it before its time. */
  readonly interrupted: boolean;
  /** Why it ended before its time, where it did. */
  readonly stopped: string | undefined;
  /** Steps of all epochs. */
  readonly steps: number;
  readonly position: Position;
}

/** Training, as callbacks see it. */
export interface Run {
  readonly model: Module;
  readonly optimizer: Optimizer;
  /** How many epochs there are to be. */
  readonly epochs: number;
  /** Steps of an epoch, where that is known before its end. */
  readonly stepsPerEpoch: number | undefined;
  /** The epoch that goes on, from 1. */
  readonly epoch: number;
  /** Its steps so far. */
  readonly step: number;
  /** How far it is, as `initialEpoch` and `initialStep` take it. */
  readonly position: Position;
  /** Of the epoch so far, as they were read last: several times a second. */
  readonly logs: Logs;
  readonly history: History;
  /** What ended it, where that was an error. */
  readonly error: unknown;
  /** Ends training after this step or epoch, and says why in the history. */
  stop(reason: string): void;
}

type Done = void | Promise<void>;

/** What is called while training goes on. All of it may be left out; what gives promises is waited for. */
export interface Callback {
  onTrainBegin?(run: Run): Done;
  onEpochBegin?(run: Run): Done;
  /** After each step, which may still be on its way on a GPU: reading a tensor here costs the wait. */
  onBatchEnd?(run: Run): Done;
  onEpochEnd?(logs: EpochLogs, run: Run): Done;
  /** Once, where Ctrl-C or a signal asks to stop, after the step that ran. */
  onInterrupt?(run: Run): Done;
  /** Always, also after an error: what was opened is closed here. */
  onTrainEnd?(run: Run): Done;
}

/** A loss, or weights, that became NaN or infinite. */
export class NonFiniteLossError extends SinterError {
  override readonly name = "NonFiniteLossError";
  /** From 1. */
  readonly epoch: number;
  readonly step: number;

  constructor(message: string, epoch: number, step: number) {
    super(message);
    this.epoch = epoch;
    this.step = step;
  }
}

/** A value by its name. Throws where there is none, saying which there are. */
export function monitored(caller: string, logs: Logs, name: string): number {
  const value = Object.hasOwn(logs, name) ? logs[name] : undefined;
  if (value !== undefined) return value;
  const names = Object.keys(logs).filter((each) => !["epoch", "steps", "seconds"].includes(each));
  throw new SinterError(
    `${caller}: monitor is ${JSON.stringify(name)}, but there are only ${names.join(", ")}${name.startsWith("val") ? "; fit's option validation makes those that begin with val" : ""}`,
  );
}
