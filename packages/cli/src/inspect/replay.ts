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
  loadWebgpu,
  readSafetensors,
  type Safetensors,
  SafetensorsError,
  type Slot,
  type StoredTensor,
  slotNames,
  theMachine,
} from "@sinter/runtime";
import type { GpuMachine } from "@sinter/runtime/webgpu";
import { UsageError } from "../context.ts";

export interface Dump {
  readonly graph: Graph;
  readonly text: string;
  readonly fastMath: boolean;
  /** What it was compiled for. */
  readonly backend: "wasm" | "webgpu";
  readonly precision: "f32" | "f16";
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
    backend: constants?.metadata.get("backend") === "webgpu" ? "webgpu" : "wasm",
    precision: constants?.metadata.get("precision") === "f16" ? "f16" : "f32",
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

/**
 * Makes the recorded call again, on the backend that the dump names. Rejects with UsageError where the record does not fit
 * the graph, and where a GPU is needed and there is none.
 */
export async function replay(dump: Dump, file: string): Promise<Verdict[]> {
  const { slots, given, run } = dump.backend === "webgpu" ? await gpuProgram(dump) : heapProgram(dump);
  const names = slotNames(dump.graph, given);
  const isResult = ({ kind }: SizedSlot): boolean => kind === "result" || kind === "stateOut";
  const inputs = slots.map((slot, i) => {
    const name = names[i];
    return name === undefined || isResult(slot) ? undefined : dataOf(recorded(dump, name, slot, file));
  });
  const outputs = await run(inputs);
  return slots.flatMap((slot, i) => {
    if (!isResult(slot)) return [];
    const [name, now] = [names[i]!, outputs[i]!];
    if (!dump.finished) return [{ ...compare(name, slot, now, now), known: false }];
    return [compare(name, slot, dataOf(recorded(dump, name, slot, file)), now)];
  });
}

/** A program to run on elements by slot; what it gives, by slot too. */
interface Replayed {
  readonly given: readonly Slot[];
  readonly slots: readonly SizedSlot[];
  run(
    inputs: readonly (TypedArray | undefined)[],
  ): readonly (TypedArray | undefined)[] | Promise<readonly (TypedArray | undefined)[]>;
}

function heapProgram(dump: Dump): Replayed {
  const { graph, fastMath } = dump;
  const { heap } = theMachine();
  const { executable } = compileGraph(graph, { backend: "wasm", fastMath });
  const slots = executable.slots.map((slot) => sizedSlot(slot));
  return {
    given: executable.slots,
    slots,
    run(inputs) {
      const held: Buffer[] = [];
      try {
        const pointers = slots.map((slot, i) => {
          const isMade = slot.kind === "result" || slot.kind === "stateOut";
          if (inputs[i] === undefined && !isMade) return 0;
          const buffer = new Buffer(heap, slot.bytes);
          held.push(buffer);
          if (inputs[i] !== undefined) heap.view(slot.dtype, buffer.address, elementsOf(slot)).set(inputs[i]);
          return buffer.address;
        });
        executable.execute(pointers, hostOf(dump));
        return slots.map((slot, i) =>
          slot.kind === "result" || slot.kind === "stateOut"
            ? heap.copy(slot.dtype, pointers[i]!, elementsOf(slot))
            : undefined,
        );
      } finally {
        for (const buffer of held) buffer.release();
      }
    },
  };
}

async function gpuProgram(dump: Dump): Promise<Replayed> {
  const machine = await gpuMachine();
  const { compileToWebgpu, instantiateOnGpu } = await loadWebgpu();
  const { program } = compileToWebgpu(dump.graph, dump, machine.features);
  const executable = instantiateOnGpu(machine, program);
  const slots = program.slots.map((slot) => sizedSlot(slot));
  return {
    given: program.slots,
    slots,
    async run(inputs) {
      await executable.ready;
      const blocks = slots.map((slot, i) => {
        if (inputs[i] !== undefined) return machine.upload(slot.dtype, inputs[i]);
        return slot.kind === "result" || slot.kind === "stateOut" ? machine.allocate(slot.bytes) : undefined;
      });
      await executable.enqueue(
        blocks.map((block) => block?.buffer),
        slots.map(() => 0),
        hostOf(dump),
      );
      return Promise.all(
        slots.map((slot, i) =>
          slot.kind === "result" || slot.kind === "stateOut"
            ? machine.download(blocks[i]!, slot.dtype, elementsOf(slot))
            : undefined,
        ),
      );
    },
  };
}

let machine: Promise<GpuMachine> | undefined;

/** The GPU of this machine. Rejects with a UsageError that says what is missing. */
export async function gpuMachine(): Promise<GpuMachine> {
  machine ??= loadWebgpu().then((webgpu) => webgpu.GpuMachine.acquire());
  try {
    return await machine;
  } catch (error) {
    machine = undefined;
    throw new UsageError((error as Error).message);
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
