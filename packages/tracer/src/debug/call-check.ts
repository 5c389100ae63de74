/** What `debug` and `verify` add to a call: another graph to run, and a look at what it did before anybody sees it. */
import type { DType, Graph, HostFunction } from "@sinter/ir";
import { settled, type Watched, watch } from "@sinter/passes";
import { type CompileOptions, theMachine } from "@sinter/runtime";
import { watchedFailure } from "./failure.ts";
import { HostLog } from "./host-log.ts";
import { mismatchError } from "./mismatch.ts";
import { resultsOf, type SlotAddress, valuesOf } from "./run.ts";
import type { Checking } from "./settings.ts";
import { findMismatch } from "./verify.ts";

/** What is known of a call. */
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

export class CallCheck {
  /** What runs instead of the traced graph: the same parameters and results, then those of `added`. */
  readonly graph: Graph;
  readonly added: readonly { readonly dtype: DType; readonly shape: readonly number[] }[];
  private readonly watched: Watched | undefined;
  /** What is run again, operation by operation. */
  private readonly verified: Graph | undefined;
  private readonly options: CompileOptions;

  constructor(graph: Graph, options: CompileOptions, { debug, verify }: Checking) {
    this.options = options;
    this.watched = debug ? watch(graph, options) : undefined;
    this.verified = verify ? (this.watched?.graph ?? settled(graph, options)) : undefined;
    this.graph = this.watched?.watched ?? graph;
    this.added = this.watched === undefined ? [] : [{ dtype: "i32", shape: [] }];
  }

  /** Runs a program and throws where something is wrong. */
  run(call: RunningCall): void {
    const log = new HostLog();
    call.execute(call.host === undefined ? undefined : log.recording(call.host));
    if (this.watched !== undefined) this.lookForCode(this.watched, call, log);
    if (this.verified !== undefined && call.failed() === undefined) this.verify(this.verified, call, log);
  }

  private lookForCode(watched: Watched, call: RunningCall, log: HostLog): void {
    const code = theMachine().heap.view("i32", call.added[0]!, 1)[0]!;
    if (code === 0) return;
    const { options } = this;
    const failed = call.failed();
    const other = failed === undefined || failed instanceof Error ? failed : new Error(String(failed));
    throw watchedFailure(watched, code, other, (graph) => resultsOf(graph, options, call.address, log.replaying()));
  }

  private verify(graph: Graph, call: RunningCall, log: HostLog): void {
    const given = valuesOf(graph, "inputs", call.address);
    const results = valuesOf(graph, "outputs", call.address);
    const replaying = (from: number): HostFunction => log.replaying(from);
    const mismatch = findMismatch(graph, given, results, { ...this.options, replaying });
    if (mismatch !== undefined) throw mismatchError(graph, mismatch);
  }
}
