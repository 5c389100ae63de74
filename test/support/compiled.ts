// Graphs compiled the way the runtime compiles them, in every form that tests compare: with and without fusion, on naive
// and real schedules, in either kind of memory, with states in place and apart. Also runs Loop IR in its interpreter.
import { type EmitOptions, probeFeatures, schedule } from "@sinter/codegen-wasm";
import {
  allocate,
  answerCall,
  bindSizes,
  dimValue,
  evalLoopKernel,
  expressionScope,
  type Graph,
  type HostFunction,
  type HostTensor,
  isFloat,
  type LoopProgram,
  type LoopStep,
  type MemoryKind,
  type NestProgram,
  type Plan,
  printLoopKernel,
  printNests,
  type SizedSlot,
  sizedSlot,
  sizeOf,
  type TypedArray,
  verifyLoopKernel,
  verifyNests,
  type WasmFeatures,
  type WasmProgram,
} from "@sinter/ir";
import { lower, planMemory, verifyPlan } from "@sinter/passes";
import { hostImports } from "@sinter/runtime";
import { emitChecked } from "./binaryen.ts";

export interface Form {
  readonly fuse: boolean;
  /** Naive scalar loops. */
  readonly generic: boolean;
  /** Work of one chunk of a kernel; small here, so that small kernels have many chunks. */
  readonly chunkWork?: number;
}

export const forms: readonly Form[] = [
  { fuse: false, generic: true },
  { fuse: true, generic: true },
  { fuse: false, generic: false },
  { fuse: true, generic: false },
];

/** Every loop that can be cut into chunks is. */
export const choppedForms: readonly Form[] = [
  { fuse: false, generic: false, chunkWork: 1 },
  { fuse: true, generic: false, chunkWork: 64 },
];

export function formName({ fuse, generic, chunkWork }: Form): string {
  const chunks = chunkWork === undefined ? "" : `, chunks of ${chunkWork}`;
  return `${generic ? "generic" : "scheduled"} ${fuse ? "fused" : "unfused"}${chunks}`;
}

export interface Compiled {
  readonly graph: Graph;
  readonly nests: NestProgram;
  readonly loops: LoopProgram;
  readonly plan: Plan;
}

/**
 * All stages up to the plan, each checked by its verifier, then `use`: what it is given lasts only as long as the call,
 * since expressions live in a scope.
 */
export function withCompiled<T>(graph: Graph, form: Form, use: (compiled: Compiled) => T): T {
  return expressionScope(() => {
    const nests = lower(graph, { fuse: form.fuse });
    verifyNests(nests);
    try {
      const loops = schedule(nests, probeFeatures(), form);
      for (const kernel of loops.kernels) verifyLoopKernel(kernel);
      const plan = planMemory(loops, { alignment: 64 });
      verifyPlan(loops, plan);
      return use({ graph, nests, loops, plan });
    } catch (error) {
      const text = printNests(nests);
      throw new Error(`${error instanceof Error ? error.message : error}\n(${formName(form)})\n${text}`, {
        cause: error,
      });
    }
  });
}

export interface RunOptions {
  readonly memory?: MemoryKind;
  /** New states are written over the old ones. */
  readonly statesInPlace?: boolean;
  /** What the program may use. Default: what the machine has. */
  readonly features?: WasmFeatures;
  /** Answers calls of the program. */
  readonly host?: HostFunction;
}

/** Results in the order of the graph's, from a run as wasm. Memory around every buffer must survive. */
export function runWasm(compiled: Compiled, args: readonly HostTensor[], options: RunOptions = {}): HostTensor[] {
  const { graph } = compiled;
  const memoryKind = options.memory ?? "unshared";
  const features = options.features ?? probeFeatures();
  const { program, module } = moduleOf(compiled, { ...features, memory: memoryKind, owner: "import" });
  const sizes = bindSizes(graph, args);
  const slots = program.slots.map((slot) => sizedSlot(slot, sizes));
  const heap = memoryFor(memoryKind, tableSize(program) + slots.reduce((n, s) => n + room(s.bytes), 0));
  const instance = new WebAssembly.Instance(module, {
    env: { memory: heap },
    host: hostImports(
      program.calls,
      (dtype, at, length) => new views[dtype](heap.buffer, at, length),
      () => options.host,
    ),
  });
  const pointers = fillTable(heap, program, slots, sizes, graph, args, options.statesInPlace === true);
  (instance.exports["run"] as (table: number) => void)(tableStart);
  checkMargins(heap, slots, pointers);
  const outputs = new Map<string, HostTensor>();
  slots.forEach((slot, i) => {
    if (slot.kind !== "result" && slot.kind !== "stateOut") return;
    const data = allocate(
      slot.dtype,
      slot.shape.reduce((n, d) => n * d, 1),
    );
    bytesOfArray(data).set(new Uint8Array(heap.buffer, pointers[i]!, slot.bytes));
    outputs.set(`${slot.kind} ${slot.index}`, { dtype: slot.dtype, shape: slot.shape, data });
  });
  return inResultOrder(graph, (kind, index) => outputs.get(`${kind} ${index}`)!);
}

interface Emitted {
  readonly program: WasmProgram;
  readonly module: WebAssembly.Module;
}
const emitted = new WeakMap<Compiled, Map<string, Emitted>>();

/** The program of some settings; the same again for another run. */
function moduleOf(compiled: Compiled, options: EmitOptions): Emitted {
  let known = emitted.get(compiled);
  if (known === undefined) emitted.set(compiled, (known = new Map()));
  const key = JSON.stringify(options);
  let found = known.get(key);
  if (found === undefined) {
    const program = emitChecked(compiled.loops, compiled.plan, options);
    found = { program, module: new WebAssembly.Module(program.bytes as Uint8Array<ArrayBuffer>) };
    known.set(key, found);
  }
  return found;
}

const views = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u32: Uint32Array, bool: Uint8Array } as const;
const tableStart = 64;
const margin = 64;
/** What memory holds before a run; a NaN in floats, no bool. */
const poison = 0xff;
const room = (bytes: number): number => (bytes + 63 + margin) & ~63;
const tableSize = (program: WasmProgram): number => room(tableStart + 4 * program.slots.length);

const memories = new Map<MemoryKind, WebAssembly.Memory>();

/** One memory for all runs: fresh ones cost page faults, and a process has room for few. */
function memoryFor(kind: MemoryKind, bytes: number): WebAssembly.Memory {
  let memory = memories.get(kind);
  if (memory === undefined) {
    const limits = { initial: 64, maximum: 65536 };
    memory = new WebAssembly.Memory(kind === "shared" ? { ...limits, maximum: 16384, shared: true } : limits);
    memories.set(kind, memory);
  }
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536));
  return memory;
}

function bytesOfArray(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Gives every slot its memory, contents and margin, and writes the call table. */
function fillTable(
  heap: WebAssembly.Memory,
  program: WasmProgram,
  slots: readonly SizedSlot[],
  sizes: ReadonlyMap<string, number>,
  graph: Graph,
  args: readonly HostTensor[],
  statesInPlace: boolean,
): number[] {
  const bytes = new Uint8Array(heap.buffer);
  const params = paramsByKind(graph);
  const replaced = graph.results.filter((r) => r.kind === "state").map((r) => r.param);
  let top = tableSize(program);
  const end = slots.reduce((n, s) => n + room(s.bytes), top);
  bytes.fill(poison, 0, end);
  const stateAt = new Map<number, number>();
  const pointers = slots.map((slot, i): number => {
    if (slot.kind === "sym") return sizes.get(slot.name!)!;
    if (slot.kind === "stateOut" && statesInPlace) return stateAt.get(replaced[slot.index]!)!;
    const at = top;
    top += room(slot.bytes);
    if (slot.kind === "const" || slot.kind === "arg" || slot.kind === "state") {
      const param = params[slot.kind][slot.index];
      const embedded = program.constants.find((c) => c.slot === i)?.data;
      bytes.set(bytesOfArray(embedded ?? args[param!]!.data), at);
      if (slot.kind === "state") stateAt.set(param!, at);
    }
    return at;
  });
  new Uint32Array(heap.buffer, tableStart, pointers.length).set(pointers);
  return pointers;
}

/** Positions of the graph's parameters, by kind. */
function paramsByKind(graph: Graph): Record<"arg" | "const" | "state", number[]> {
  const out = { arg: [] as number[], const: [] as number[], state: [] as number[] };
  graph.params.forEach((param, i) => {
    if (param.kind !== "token") out[param.kind].push(i);
  });
  return out;
}

function checkMargins(heap: WebAssembly.Memory, slots: readonly SizedSlot[], pointers: readonly number[]): void {
  const bytes = new Uint8Array(heap.buffer);
  slots.forEach((slot, i) => {
    if (slot.kind === "sym") return;
    const end = pointers[i]! + slot.bytes;
    for (let at = end; at < pointers[i]! + room(slot.bytes); at++)
      if (bytes[at] !== poison)
        throw new Error(`${slot.kind} ${slot.index}: byte ${at - end} past its ${slot.bytes} was written`);
  });
}

function inResultOrder(graph: Graph, output: (kind: "result" | "stateOut", index: number) => HostTensor): HostTensor[] {
  const next = { result: 0, stateOut: 0 };
  return graph.results.map(({ kind }) => {
    const as = kind === "state" ? "stateOut" : "result";
    return output(as, next[as]++);
  });
}

/**
 * Results from the interpreter of Loop IR, each buffer an array of its own and every access checked. Reads of what no
 * kernel has written give NaN (or 77).
 */
export function runLoops(compiled: Compiled, args: readonly HostTensor[], options: RunOptions = {}): HostTensor[] {
  const { graph, loops } = compiled;
  const params = paramsByKind(graph);
  const sizes = bindSizes(graph, args);
  const arrays: TypedArray[] = [];
  for (const decl of loops.buffers) {
    const size = dimValue(sizeOf(decl.shape), sizes);
    const given =
      decl.kind === "arg" || decl.kind === "const" || decl.kind === "state"
        ? (decl.data ?? args[params[decl.kind][decl.slot]!]!.data)
        : undefined;
    const inPlace = decl.kind === "stateOut" && options.statesInPlace === true;
    const fresh = (): TypedArray => allocate(decl.dtype, size).fill(isFloat(decl.dtype) ? Number.NaN : 77);
    arrays.push(inPlace ? arrays[decl.replaces!]! : (given?.slice() ?? fresh()));
  }
  const kernel = (position: number): void => {
    const found = loops.kernels[position]!;
    try {
      evalLoopKernel(
        found,
        found.buffers.map((b) => arrays[b]!),
        sizes,
      );
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}\n${printLoopKernel(found)}`, { cause: error });
    }
  };
  const takeSlices = (counter: number, i: number, count: number): void => {
    for (const { id, slice, shape } of loops.buffers) {
      if (slice?.counter !== counter) continue;
      const size = dimValue(sizeOf(shape), sizes);
      const at = slice.reverse ? count - 1 - i : i;
      arrays[id] = arrays[slice.of]!.subarray(at * size, (at + 1) * size);
    }
  };
  const run = (steps: readonly LoopStep[]): void => {
    for (const step of steps) {
      if (step.kind === "kernel") kernel(step.kernel);
      else if (step.kind === "copy") arrays[step.to]!.set(arrays[step.from]!);
      else if (step.kind === "swap") [arrays[step.a], arrays[step.b]] = [arrays[step.b]!, arrays[step.a]!];
      else if (step.kind === "if")
        run(step.branches[Math.min(step.branches.length - 1, Math.max(0, arrays[step.index]![0]!))]!);
      else if (step.kind === "for") {
        const count = dimValue(step.count, sizes);
        for (let i = 0; i < count; i++) {
          arrays[step.counter]![0] = i;
          takeSlices(step.counter, i, count);
          run(step.body);
        }
      } else if (step.kind === "host") {
        const call = loops.calls[step.call]!;
        const given = step.operands.map((id, i) => ({ ...call.operands[i]!, data: arrays[id]!.slice() }));
        for (const [i, { data }] of answerCall(call, given, options.host).entries())
          arrays[step.results[i]!]!.set(data);
      } else
        for (;;) {
          run(step.test);
          if (arrays[step.predicate]![0] === 0) break;
          run(step.body);
        }
    }
  };
  run(loops.steps);
  return inResultOrder(graph, (kind, index) => {
    const decl = loops.buffers.find((b) => b.kind === kind && b.slot === index)!;
    return { dtype: decl.dtype, shape: decl.shape.map((dim) => dimValue(dim, sizes)), data: arrays[decl.id]!.slice() };
  });
}
