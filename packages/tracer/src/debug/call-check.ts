/** What `debug` and `verify` add to a call: another graph to run, and a look at what it did before anybody sees it. */
import type { DType, Graph } from "@sinter/ir";
import { type Watched, watch } from "@sinter/passes";
import { type CompileOptions, theMachine } from "@sinter/runtime";
import { watchedFailure } from "./failure.ts";
import { type InputAddress, resultsOf } from "./run.ts";
import type { Checking } from "./settings.ts";

/** What is known of a call. */
export interface RunningCall {
  readonly input: InputAddress;
  /** Addresses of the results that the check added. */
  readonly added: readonly number[];
  /** Which check of the program's own did not hold, once it has run. */
  failed(): Error | undefined;
}

export class CallCheck {
  /** What runs instead of the traced graph: the same parameters and results, then those of `added`. */
  readonly graph: Graph;
  readonly added: readonly { readonly dtype: DType; readonly shape: readonly number[] }[];
  private readonly watched: Watched | undefined;
  private readonly options: CompileOptions;

  constructor(graph: Graph, options: CompileOptions, { debug }: Checking) {
    this.options = options;
    this.watched = debug ? watch(graph, options) : undefined;
    this.graph = this.watched?.watched ?? graph;
    this.added = this.watched === undefined ? [] : [{ dtype: "i32", shape: [] }];
  }

  /** Runs a program and throws where something is wrong. */
  run(execute: () => void, call: RunningCall): void {
    execute();
    if (this.watched === undefined) return;
    const code = theMachine().heap.view("i32", call.added[0]!, 1)[0]!;
    if (code === 0) return;
    const { options } = this;
    throw watchedFailure(this.watched, code, call.failed(), (graph) => resultsOf(graph, options, call.input));
  }
}
