/** What `debug` and `verify` add to a call: another graph to run, and a look at what it did before anybody sees it. */
import type { DType, Graph, HostFunction } from "@sinter/ir";
import { settled, type Watched, watch } from "@sinter/passes";
import { type CompileOptions, theMachine } from "@sinter/runtime";
import { type Asked, type Asking, answered, type Values } from "./asking.ts";
import { watchedFailure } from "./failure.ts";
import { HostLog } from "./host-log.ts";
import { mismatchError } from "./mismatch.ts";
import { resultsOn, type SlotAddress, valuesOf } from "./run.ts";
import type { Checking } from "./settings.ts";
import { findMismatch } from "./verify.ts";

/** What is known of a call on the heap. */
export interface RunningCall {
  /** Runs the program. */
  execute(host: HostFunction | undefined): void;
  readonly host: HostFunction | undefined;
  /** Where what the call was given and what it gives is. */
  readonly address: SlotAddress;
  /** Addresses of the results that the check added. */
  readonly added: readonly number[];
  /** Which check of the program's own did not hold, once it has run. */
  failed(): unknown;
}

/** A call that has run, wherever. */
export interface FinishedCall {
  /** The result that the check added; 0 where it added none. */
  readonly code: number;
  /** Which check of the program's own did not hold. */
  readonly failed: unknown;
  readonly log: HostLog;
  /** By parameter of the graph, before it ran. */
  inputs(): Values;
  /** By result of the graph that was traced. */
  outputs(): Values;
}

export class CallCheck {
  /** What runs instead of the traced graph: the same parameters and results, then those of `added`. */
  readonly graph: Graph;
  readonly added: readonly { readonly dtype: DType; readonly shape: readonly number[] }[];
  private readonly watched: Watched | undefined;
  /** What is run again, operation by operation. */
  private readonly verified: Graph | undefined;
  /** What its programs are compiled with, those that are run to find out included. */
  readonly options: CompileOptions;

  constructor(graph: Graph, options: CompileOptions, { debug, verify }: Checking) {
    this.options = options;
    this.watched = debug ? watch(graph, options) : undefined;
    this.verified = verify ? (this.watched?.graph ?? settled(graph, options)) : undefined;
    this.graph = this.watched?.watched ?? graph;
    this.added = this.watched === undefined ? [] : [{ dtype: "i32", shape: [] }];
  }

  /** Runs a program on the heap and throws where something is wrong. */
  run(call: RunningCall): void {
    const log = new HostLog();
    call.execute(call.host === undefined ? undefined : log.recording(call.host));
    const { options } = this;
    const added = call.added[0];
    const finished: FinishedCall = {
      code: added === undefined ? 0 : theMachine().heap.view("i32", added, 1)[0]!,
      failed: call.failed(),
      log,
      inputs: () => valuesOf(this.graph, "inputs", call.address),
      outputs: () => valuesOf(this.verified!, "outputs", call.address),
    };
    const now = ({ graph, args, host }: Asked): Values => resultsOn(graph, options, args, host);
    const wrong = answered(this.wrong(finished, now), now);
    if (wrong !== undefined) throw wrong;
  }

  /** Whether a call that gave this code has to be looked into. */
  asks({ code, failed }: Pick<FinishedCall, "code" | "failed">): boolean {
    return code !== 0 || (this.verified !== undefined && failed === undefined);
  }

  /** The error for a call; undefined where nothing is wrong with it that its own checks do not say. */
  *wrong(call: FinishedCall, now?: (asked: Asked) => Values): Asking<Error | undefined> {
    const { code, failed, log } = call;
    if (!this.asks(call)) return undefined;
    if (this.watched !== undefined && code !== 0) {
      const other = failed === undefined || failed instanceof Error ? failed : new Error(String(failed));
      return yield* watchedFailure(this.watched, code, other, { args: call.inputs(), host: log.replaying() });
    }
    const graph = this.verified!;
    const options = {
      ...this.options,
      replaying: (from: number): HostFunction => log.replaying(from),
      ...(now === undefined ? {} : { now }),
    };
    const mismatch = yield* findMismatch(graph, call.inputs(), call.outputs(), options);
    return mismatch === undefined ? undefined : mismatchError(graph, mismatch);
  }
}
