/**
 * What a dump is made from, and who writes it: the page's package, which nothing below it imports. Whoever compiles a
 * function loads it by its path, and only where a dump is asked for. Types only.
 */
import type { TypedArray } from "@sinter/ir";
import type { NamedTensor } from "./bundle/safetensors.ts";
import type { Inspection } from "./inspection-types.ts";

export interface DumpSource {
  readonly inspection: Inspection;
  /** The graph as it was handed to the compiler, complete but for large constants. */
  readonly graph: string;
  /** Large constants, by the name that they have in the text. */
  readonly constants: ReadonlyMap<string, TypedArray>;
}

/**
 * One call of a program as bits: what went in and what came out. Tensors are `arg NAME`, `const NAME` and `state NAME` by
 * parameter of the graph, `result N` by its place among the results, `next NAME` the new value of a state, and `call N.M`
 * result M of the call to the host that was made N-th.
 */
export interface CallRecord {
  readonly tensors: readonly NamedTensor[];
  /** Of the calls to the host, in order: 0, or the status that a failed one answered. */
  readonly hostStatuses: readonly number[];
}

export interface DumpFolder {
  /** Where the dump is. */
  readonly path: string;
  /** Adds a call: its captured tensors to the data, all else to a file of its own. */
  record(call: CallRecord): void;
}

/** What the package of the page exports for that. */
export interface DumpWriter {
  /** Writes a dump into a new folder of `parent`; throws where it cannot. */
  writeDump(parent: string, source: DumpSource): DumpFolder;
}
