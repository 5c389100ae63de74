/**
 * Runs what a dump holds: reads graph text with its constants, compiles it, and where a call was recorded beside it, makes
 * that call again and compares bit for bit.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { dumpFiles } from "@sinter/inspect";
import {
  type Graph,
  type HostFunction,
  ParseError,
  parseGraph,
  type SizedSlot,
  sizedSlot,
  type TypedArray,
  VerifyError,
  verifyGraph,
} from "@sinter/ir";
import {
  Buffer,
  compileGraph,
  dataOf,
  readSafetensors,
  type Safetensors,
  SafetensorsError,
  type StoredTensor,
  slotNames,
  theMachine,
} from "@sinter/runtime";
import { UsageError } from "../context.ts";

export interface Dump {
  readonly graph: Graph;
  readonly text: string;
  readonly fastMath: boolean;
  /** Captured tensors, arguments, states, results: by the names of a dump. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Whether a call was recorded. */
  readonly called: boolean;
  /** Whether its results were. */
  readonly finished: boolean;
  /** What calls to the host answered, in order. */
  readonly hostStatuses: readonly number[];
}

/** One result, compared with the recorded one. */
export interface Verdict {
  readonly name: string;
  readonly type: string;
  /** False where the program did not come to an end when it was recorded. */
  readonly known: boolean;
  readonly elements: number;
  /** How many elements have other bits; of NaNs none count. */
  readonly different: number;
  /** The first of them. */
  readonly first: { readonly at: number; readonly recorded: number; readonly now: number } | undefined;
}

/**
 * Reads graph text and what lies beside it. `data`: another file for its constants. Throws UsageError for a file that is
 * missing or damaged, with line and column where it is the text.
 */
export function readDump(file: string, data?: string): Dump {
  const text = new TextDecoder().decode(read(file));
  const beside = (name: string): string => join(dirname(file), name);
  const dataFile = data ?? (existsSync(beside(dumpFiles.data)) ? beside(dumpFiles.data) : undefined);
  const constants = dataFile === undefined ? undefined : tensorsOf(dataFile);
  const call = existsSync(beside(dumpFiles.call)) ? tensorsOf(beside(dumpFiles.call)) : undefined;
  const graph = parse(file, text, constants, dataFile);
  const statuses: unknown = JSON.parse(call?.metadata.get("hostStatuses") ?? "[]");
  return {
    graph,
    text,
    fastMath: constants?.metadata.get("fastMath") === "true",
    tensors: new Map([...(constants?.tensors ?? []), ...(call?.tensors ?? [])]),
    called: call !== undefined,
    finished: [...(call?.tensors.keys() ?? [])].some((name) => /^(result|next) /.test(name)),
    hostStatuses: Array.isArray(statuses) ? statuses.map(Number) : [],
  };
}

function read(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as { readonly code?: string };
    throw new UsageError(code === "ENOENT" ? `${file}: no such file` : `${file}: ${(error as Error).message}`);
  }
}

function tensorsOf(file: string): Safetensors {
  try {
    return readSafetensors(read(file), file);
  } catch (error) {
    if (error instanceof SafetensorsError) throw new UsageError(error.message);
    throw error;
  }
}

function parse(file: string, text: string, constants: Safetensors | undefined, dataFile: string | undefined): Graph {
  const data = new Map<string, TypedArray>();
  for (const [name, tensor] of constants?.tensors ?? []) if (name.startsWith("hash:")) data.set(name, dataOf(tensor));
  try {
    const graph = parseGraph(text, { data, file });
    verifyGraph(graph);
    return graph;
  } catch (error) {
    if (error instanceof ParseError) {
      const from = dataFile === undefined ? `: give the file that holds them with --data` : ` in ${dataFile}`;
      const missing = /are not given$/.test(error.reason) ? from : "";
      const [head, ...rest] = error.message.split("\n");
      throw new UsageError(`${file}:${head}${missing}\n${rest.join("\n")}`);
    }
    if (error instanceof VerifyError) throw new UsageError(`${file}: ${error.message}`);
    throw error;
  }
}

/** Makes the recorded call again. Throws UsageError where the record does not fit the graph. */
export function replay(dump: Dump, file: string): Verdict[] {
  const { graph, fastMath } = dump;
  const { heap } = theMachine();
  const { executable } = compileGraph(graph, { backend: "wasm", fastMath });
  const names = slotNames(graph, executable.slots);
  const held: Buffer[] = [];
  try {
    const slots = executable.slots.map((slot) => sizedSlot(slot));
    const pointers = slots.map((slot, i) => {
      const name = names[i];
      if (name === undefined) return 0;
      const buffer = new Buffer(heap, slot.bytes);
      held.push(buffer);
      if (slot.kind !== "result" && slot.kind !== "stateOut")
        heap.view(slot.dtype, buffer.address, elementsOf(slot)).set(dataOf(recorded(dump, name, slot, file)));
      return buffer.address;
    });
    executable.execute(pointers, hostOf(dump));
    return slots.flatMap((slot, i) => {
      if (slot.kind !== "result" && slot.kind !== "stateOut") return [];
      const name = names[i]!;
      const now = heap.copy(slot.dtype, pointers[i]!, elementsOf(slot));
      if (!dump.finished) return [{ ...compare(name, slot, now, now), known: false }];
      return [compare(name, slot, dataOf(recorded(dump, name, slot, file)), now)];
    });
  } finally {
    for (const buffer of held) buffer.release();
  }
}

function recorded(dump: Dump, name: string, slot: SizedSlot, file: string): StoredTensor {
  const tensor = dump.tensors.get(name);
  const type = typeText(slot);
  if (tensor === undefined) throw new UsageError(`${file}: no ${name} (${type}) was recorded beside it`);
  if (typeText(tensor) !== type)
    throw new UsageError(`${file}: ${name} is ${type}, but ${typeText(tensor)} was recorded`);
  return tensor;
}

function compare(name: string, slot: SizedSlot, before: TypedArray, now: TypedArray): Verdict {
  const bits = (data: TypedArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const [a, b] = [bits(before), bits(now)];
  const width = before.BYTES_PER_ELEMENT;
  let different = 0;
  let first: Verdict["first"];
  for (let i = 0; i < before.length; i++) {
    let same = Number.isNaN(before[i]) && Number.isNaN(now[i]);
    if (!same) {
      same = true;
      for (let k = i * width; k < (i + 1) * width; k++) same &&= a[k] === b[k];
    }
    if (same) continue;
    different++;
    first ??= { at: i, recorded: before[i]!, now: now[i]! };
  }
  return { name, type: typeText(slot), known: true, elements: before.length, different, first };
}

/** Answers the program's calls with what was answered when the call was recorded. */
function hostOf({ tensors, hostStatuses }: Dump): HostFunction {
  let n = 0;
  return (call) => {
    const at = n++;
    const status = hostStatuses[at] ?? 0;
    if (status !== 0) return status;
    return call.results.slice(1).map(({ dtype, shape }, i) => {
      const tensor = tensors.get(`call ${at}.${i}`);
      if (tensor === undefined) throw new UsageError(`the program calls its host more often than was recorded`);
      return { dtype, shape, data: dataOf(tensor) };
    });
  };
}

function elementsOf({ shape }: SizedSlot): number {
  return shape.reduce((n, size) => n * size, 1);
}

function typeText({ dtype, shape }: { readonly dtype: string; readonly shape: readonly number[] }): string {
  return `${dtype}[${shape.join(",")}]`;
}
