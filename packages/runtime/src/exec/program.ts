/**
 * Runs finished wasm programs: instantiates them over the heap, fills the call table, calls `run`. Imports nothing of
 * the compiler, so that a bundle can carry it.
 */
import { bytesOf, dimValue, type HostFunction, type Slot, type WasmProgram } from "@sinter/ir/program";
import { Arena } from "./arena.ts";
import { type Block, Heap, type HeapOptions } from "./heap.ts";
import { hostImports } from "./host.ts";

/** Heap, arena and call table that programs run in. */
export class Machine {
  readonly heap: Heap;
  readonly arena: Arena;
  private table: Block;
  private tableSlots: number;
  private tableUsed = 0;
  private words: Uint32Array;
  /** Answers the calls of the program that runs. */
  host: HostFunction | undefined;

  constructor(options: HeapOptions = {}) {
    this.heap = new Heap(options);
    this.arena = new Arena(this.heap);
    this.tableSlots = 4096;
    this.table = this.heap.allocate(this.tableSlots * 4);
    this.words = new Uint32Array(this.heap.memory.buffer);
  }

  /**
   * Calls `run` with a table of `pointers`, one per slot; the slot `arenaSlot` (if not negative) gets the arena. The
   * table is a stack too: a program may run inside a call of another. `host` answers the calls of this one: without it what
   * it prints goes nowhere, and other calls fail.
   */
  run(
    run: (table: number) => void,
    pointers: ArrayLike<number>,
    arenaSlot: number,
    arenaBytes: number,
    host?: HostFunction,
  ): void {
    const count = pointers.length;
    if (this.tableUsed + count > this.tableSlots && this.tableUsed === 0) this.growTable(count);
    // A call inside another whose pointers do not fit behind those of that one.
    const apart = this.tableUsed + count > this.tableSlots ? this.heap.allocate(count * 4) : undefined;
    try {
      const arena = this.arena.enter(arenaBytes);
      const start = apart?.address ?? this.table.address + this.tableUsed * 4;
      const outer = this.host;
      this.host = host;
      // The only view that is kept: it is replaced as soon as the memory's buffer is another one.
      if (this.words.buffer !== this.heap.memory.buffer) this.words = new Uint32Array(this.heap.memory.buffer);
      const { words } = this;
      const base = start >>> 2;
      for (let i = 0; i < count; i++) words[base + i] = pointers[i]!;
      if (arenaSlot >= 0) words[base + arenaSlot] = arena;
      const used = apart === undefined ? count : 0;
      this.tableUsed += used;
      try {
        run(start | 0);
      } finally {
        this.host = outer;
        this.tableUsed -= used;
        this.arena.leave(arenaBytes);
      }
    } finally {
      if (apart !== undefined) this.heap.release(apart);
    }
  }

  private growTable(count: number): void {
    this.heap.release(this.table);
    this.tableSlots = count * 2;
    this.table = this.heap.allocate(this.tableSlots * 4);
  }
}

/** A program that can run: pointers in slot order, without a word per op in JavaScript. */
export interface Executable {
  readonly slots: readonly Slot[];
  /** Position of the arena among the slots, or -1. */
  readonly arenaSlot: number;
  /** Addresses of embedded constants by slot, to be put in the pointers of every run. */
  readonly embedded: readonly { readonly slot: number; readonly address: number }[];
  /** Bytes it holds: code and embedded constants. */
  readonly bytes: number;
  /** Runs with one pointer (or symbolic size) per slot; embedded constants and the arena are filled in. `host` answers the program's calls. */
  execute(pointers: number[], host?: HostFunction): void;
  /** Gives back its constants. It must not run any more. */
  dispose(): void;
}

/** Frees the constants of programs that nobody can run any more. */
const abandoned = new FinalizationRegistry<() => void>((free) => free());

/** Is told by an instrumented program which of its steps begins and is done. */
export interface StepClock {
  enter(step: number): void;
  leave(step: number): void;
}

/** Compiles and instantiates a program over the machine's memory; an instrumented one needs a clock. Synchronous. */
export function instantiate(machine: Machine, program: WasmProgram, clock?: StepClock): Executable {
  if (program.memory !== machine.heap.kind)
    throw new Error(`program ${program.name} is for ${program.memory} memory, the heap is ${machine.heap.kind}`);
  const module = new WebAssembly.Module(program.bytes as BufferSource);
  const run = runExport(module, machine, program, clock);
  const blocks: Block[] = [];
  const embedded = program.constants.map(({ slot, data }) => {
    const dtype = program.slots[slot]!.dtype;
    const block = machine.heap.place(dtype, data);
    blocks.push(block);
    return { slot, address: block.address };
  });
  const arenaSlot = program.slots.findIndex((s) => s.kind === "arena");
  const constantBytes = program.constants.reduce(
    (n, c) => n + c.data.length * bytesOf(program.slots[c.slot]!.dtype),
    0,
  );
  const { heap } = machine;
  const free = (): void => {
    for (const block of blocks.splice(0)) heap.release(block);
  };
  const arenaBytes = sizeOfArena(program);
  const executable: Executable = {
    slots: program.slots,
    arenaSlot,
    embedded,
    bytes: program.bytes.length + constantBytes,
    execute(pointers, host) {
      for (let i = 0; i < embedded.length; i++) pointers[embedded[i]!.slot] = embedded[i]!.address;
      machine.run(run, pointers, arenaSlot, arenaBytes(pointers), host);
    },
    dispose: free,
  };
  abandoned.register(executable, free);
  return executable;
}

/** Bytes that a call needs, by its table: where sizes are symbolic, found once for each row of equal ones. */
function sizeOfArena({ slots, arenaBytes }: WasmProgram): (table: readonly number[]) => number {
  if (typeof arenaBytes === "number") return () => arenaBytes;
  const syms = slots.flatMap(({ kind, name }, slot) => (kind === "sym" ? [{ name: name!, slot, size: -1 }] : []));
  let bytes = 0;
  return (table) => {
    if (syms.some(({ slot, size }) => table[slot] !== size)) {
      for (const sym of syms) sym.size = table[sym.slot]!;
      bytes = dimValue(arenaBytes, new Map(syms.map(({ name, size }) => [name, size])));
    }
    return bytes;
  };
}

function runExport(
  module: WebAssembly.Module,
  machine: Machine,
  { name, calls }: WasmProgram,
  clock: StepClock | undefined,
): (table: number) => void {
  const { heap } = machine;
  const host = hostImports(
    calls,
    (dtype, address, length) => heap.view(dtype, address, length),
    () => machine.host,
  );
  const imports: WebAssembly.Imports = { host: { ...host, ...clock } };
  for (const wanted of WebAssembly.Module.imports(module)) {
    if (wanted.kind === "function" && wanted.module === "host") continue;
    if (wanted.kind !== "memory") throw new Error(`program ${name} imports ${wanted.module}.${wanted.name}`);
    imports[wanted.module] = { ...imports[wanted.module], [wanted.name]: machine.heap.memory };
  }
  const { run } = new WebAssembly.Instance(module, imports).exports;
  if (typeof run !== "function") throw new Error(`program ${name} does not export run`);
  return run as (table: number) => void;
}
