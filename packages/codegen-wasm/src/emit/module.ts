/**
 * A whole module: exported functions, each the control tree of one program, over many internal functions. V8 compiles
 * function by function and never replaces code that is running, so kernels are functions of their own; equal ones (by
 * their text) exist once, whichever programs they are of.
 */
import {
  type LoopFunc,
  type LoopKernel,
  type LoopProgram,
  type LoopStmt,
  type MemoryKind,
  type Plan,
  printLoopFunc,
  type WasmFeatures,
} from "@sinter/ir";
import type { Assembler, DataSegment } from "../asm.ts";
import { Encoder } from "../encode/encoder.ts";
import { fingerprint } from "./fingerprint.ts";
import { type Clock, RunFunction } from "./run.ts";
import { emitFunc } from "./stmt.ts";

export interface EmitOptions extends WasmFeatures {
  readonly memory: MemoryKind;
  /** `import`: the memory is "env"."memory". `export`: the module's own, exported as "memory", free from "heap_base" on. */
  readonly owner: "import" | "export";
  /** Says to "host"."enter" and "host"."leave" which of its `workSteps` a program begins and has done. */
  readonly instrument?: boolean;
  /** Writes the names of functions into the module: stacks of traps show them. */
  readonly names?: boolean;
}

/** One program of a module. */
export interface EntryPoint {
  /** The name that its `run(table)` is exported under. */
  readonly name: string;
  readonly loops: LoopProgram;
  readonly plan: Plan;
}

/** Several programs in one module with a memory of its own, for hosts without a compiler. */
export interface WasmModule {
  readonly bytes: Uint8Array;
  /** By position in the `data` that was given: the address of its contents. */
  readonly addresses: readonly number[];
  /** From here on the memory is the host's. */
  readonly heapBase: number;
}

const pageBytes = 65536;
const maximumPages = 65536;
/** What addresses of data are multiples of. Address 0 stays unused. */
const alignment = 64;

/**
 * The module of several programs, one export for each. It has an unshared memory of its own, which begins with the
 * contents of `data`. Programs made in an `expressionScope` each have equal texts where they do the same.
 */
export function emitModule(
  entries: readonly EntryPoint[],
  features: WasmFeatures,
  data: readonly Uint8Array[] = [],
): WasmModule {
  const asm = new Encoder();
  const options: EmitOptions = { ...features, memory: "unshared", owner: "export" };
  const { heapBase, addresses } = assemble(asm, entries, options, data);
  return { bytes: asm.bytes(), heapBase, addresses };
}

interface Assembled {
  readonly heapBase: number;
  /** By position in the data. */
  readonly addresses: readonly number[];
  /** By program and kernel: the names of its functions, its entry's last. */
  readonly kernels: readonly (readonly (readonly string[])[])[];
}

/** Builds the module of some programs. */
export function assemble(
  asm: Assembler,
  entries: readonly EntryPoint[],
  options: EmitOptions,
  data: readonly Uint8Array[] = [],
): Assembled {
  const addresses: number[] = [];
  let heapBase = alignment;
  for (const bytes of data) {
    addresses.push(heapBase);
    heapBase += Math.ceil(bytes.length / alignment) * alignment;
  }
  if (heapBase > maximumPages * pageBytes - pageBytes)
    throw new RangeError(`the module's data takes ${heapBase} bytes, more than a memory can hold`);
  // An imported unshared memory may have any maximum or none; a shared one must declare one.
  const maximum = options.memory === "shared" || options.owner === "export" ? maximumPages : undefined;
  asm.memory(
    options.owner,
    options.memory === "shared",
    Math.ceil(heapBase / pageBytes),
    maximum,
    data.flatMap((bytes, i) => segmentOf(addresses[i]!, bytes)),
  );
  if (options.owner === "export") asm.exportConstant("heap_base", heapBase);
  const calls = importCalls(asm, entries);
  const clock = options.instrument === true ? importClock(asm) : undefined;
  const functions = new Functions(asm, options, new Set(entries.map(({ name }) => name)));
  const kernels = entries.map(({ name, loops, plan }, i) => {
    const mine = loops.kernels.map((kernel) => functions.kernel(kernel));
    const names = { kernels: mine.map((list) => list.at(-1)!), calls: calls[i]!, clock };
    new RunFunction(asm, name, loops, plan, names).emit();
    return mine;
  });
  return { heapBase, addresses, kernels };
}

/** Declares what the programs call outside, as "host"."0", "host"."1", ... through all of them; names by program. */
function importCalls(asm: Assembler, entries: readonly EntryPoint[]): string[][] {
  let count = 0;
  return entries.map(({ loops }) =>
    loops.calls.map(({ operands, results }) => {
      const field = String(count++);
      // No kernel has such a name.
      const name = `host.${field}`;
      asm.importFunc(
        field,
        name,
        [...operands, ...results].map(() => "i32"),
      );
      return name;
    }),
  );
}

function importClock(asm: Assembler): Clock {
  const [enter, leave] = ["host.enter", "host.leave"];
  asm.importFunc("enter", enter, ["i32"]);
  asm.importFunc("leave", leave, ["i32"]);
  return { enter, leave };
}

/** Memory begins as zeros: nothing is written of what is zero at the end, such as an optimiser's first moments. */
function segmentOf(address: number, bytes: Uint8Array): DataSegment[] {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end === 0 ? [] : [{ address, bytes: bytes.subarray(0, end) }];
}

/** A function of the module, with its text but for the names of variables. */
interface Added {
  readonly name: string;
  readonly text: () => string;
}

/** The module's internal functions, each text once. */
class Functions {
  private readonly asm: Assembler;
  private readonly features: WasmFeatures;
  /** What was added, by fingerprint: texts are made only where fingerprints agree. */
  private readonly added = new Map<number, Added[]>();
  private readonly names: Set<string>;

  /** `taken`: names that internal functions must not have. */
  constructor(asm: Assembler, features: WasmFeatures, taken: Set<string>) {
    this.asm = asm;
    this.features = features;
    this.names = taken;
  }

  /** Adds a kernel's functions, called ones before their callers; returns their names in the module, the entry's last. */
  kernel(kernel: LoopKernel): readonly string[] {
    const byName = new Map(kernel.funcs.map((f) => [f.name, f]));
    const done = new Map<string, string>();
    const add = (func: LoopFunc): string => {
      let name = done.get(func.name);
      if (name !== undefined) return name;
      for (const callee of calleesOf(func.body)) {
        const target = byName.get(callee);
        if (target === undefined) throw new Error(`kernel ${kernel.name}: no function ${callee}`);
        if (target === func) throw new Error(`kernel ${kernel.name}: ${callee} calls itself`);
        add(target);
      }
      name = this.func(func, (callee) => done.get(callee)!);
      done.set(func.name, name);
      return name;
    };
    add(kernel.funcs[0]!);
    return [...new Set(done.values())];
  }

  private func(func: LoopFunc, callee: (name: string) => string): string {
    const text = (): string => printLoopFunc(func, { anonymous: true, callee });
    const key = fingerprint(func);
    const similar = this.added.get(key);
    const same = similar?.find((each) => each.text() === text());
    if (same !== undefined) return same.name;
    const name = this.fresh(func.name);
    if (similar === undefined) this.added.set(key, [{ name, text }]);
    else similar.push({ name, text });
    emitFunc(this.asm, this.features, func, name, callee);
    return name;
  }

  private fresh(wanted: string): string {
    let name = wanted;
    for (let n = 1; this.names.has(name); n++) name = `${wanted}.${n}`;
    this.names.add(name);
    return name;
  }
}

function calleesOf(list: readonly LoopStmt[]): string[] {
  return list.flatMap((s) => {
    if (s.kind === "call" || s.kind === "par") return [s.func];
    if (s.kind === "for" || s.kind === "while") return calleesOf(s.body);
    return s.kind === "if" ? [...calleesOf(s.then), ...calleesOf(s.else)] : [];
  });
}
