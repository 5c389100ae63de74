/**
 * A whole program: one exported `run(table)` over many internal functions. V8 compiles function by function and never
 * replaces code that is running, so kernels are functions of their own; equal ones (by their text) exist once.
 */
import {
  type BufferDecl,
  bytesOf,
  type LoopFunc,
  type LoopKernel,
  type LoopProgram,
  type LoopStmt,
  type MemoryKind,
  type Plan,
  printLoopFunc,
  type Slot,
  staticDim,
  type WasmFeatures,
  type WasmProgram,
} from "@sinter/ir";
import type { Assembler } from "../asm.ts";
import { Encoder } from "../encode/encoder.ts";
import { TextWriter } from "../encode/text.ts";
import { fingerprint } from "./fingerprint.ts";
import { RunFunction } from "./run.ts";
import { emitFunc } from "./stmt.ts";

export interface EmitOptions extends WasmFeatures {
  readonly memory: MemoryKind;
  /** `import`: the memory is "env"."memory". `export`: the module's own, exported as "memory". */
  readonly owner: "import" | "export";
}

const maximumPages = 65536;

/** Compiles scheduled loops and their memory plan to a wasm module. */
export function emit(program: LoopProgram, plan: Plan, options: EmitOptions): WasmProgram {
  const asm = new Encoder();
  assemble(asm, program, plan, options);
  const slots = slotsOf(program, plan);
  return {
    kind: "wasm",
    name: program.name,
    bytes: asm.bytes(),
    memory: options.memory,
    slots,
    arenaBytes: staticDim(plan.arenaBytes),
    kernels: program.kernels.length,
    constants: program.buffers.flatMap((b) =>
      b.kind === "const" && b.data !== undefined
        ? [{ slot: slots.findIndex((s) => s.kind === "const" && s.index === b.slot), data: b.data }]
        : [],
    ),
  };
}

/** The WebAssembly text of the same module. */
export function emitWat(program: LoopProgram, plan: Plan, options: EmitOptions): string {
  const asm = new TextWriter();
  assemble(asm, program, plan, options);
  return asm.text();
}

/** Builds the module of a program. */
export function assemble(asm: Assembler, program: LoopProgram, plan: Plan, options: EmitOptions): void {
  // An imported unshared memory may have any maximum or none; a shared one must declare one.
  const maximum = options.memory === "shared" || options.owner === "export" ? maximumPages : undefined;
  asm.memory(options.owner, options.memory === "shared", 1, maximum);
  const functions = new Functions(asm, options);
  const entries = program.kernels.map((kernel) => functions.kernel(kernel));
  new RunFunction(asm, program, plan, entries).emit();
}

const slotKinds = ["const", "arg", "state", "stateOut", "result"] as const;

/** The call table: the arena first, then the program's buffers by kind, in order. */
export function slotsOf(program: LoopProgram, plan: Plan): readonly Slot[] {
  const arenaBytes = staticDim(plan.arenaBytes);
  const slots: Slot[] = [{ kind: "arena", index: 0, dtype: "u32", shape: [arenaBytes / 4], bytes: arenaBytes }];
  for (const kind of slotKinds) {
    const mine = program.buffers.filter((b) => b.kind === kind).sort((a, b) => a.slot - b.slot);
    for (const buffer of mine) {
      const shape = staticShape(buffer);
      slots.push({ kind, index: buffer.slot, dtype: buffer.dtype, shape, bytes: bytesOfBuffer(buffer) });
    }
  }
  return slots;
}

function staticShape(buffer: BufferDecl): readonly number[] {
  return buffer.shape.map((dim) => {
    if (typeof dim !== "number") throw new Error(`buffer ${buffer.name} has a symbolic dimension ${dim.key}`);
    return dim;
  });
}

function bytesOfBuffer(buffer: BufferDecl): number {
  return staticShape(buffer).reduce((product, dim) => product * dim, bytesOf(buffer.dtype));
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
  private readonly names = new Set(["run"]);

  constructor(asm: Assembler, features: WasmFeatures) {
    this.asm = asm;
    this.features = features;
  }

  /** Adds a kernel's functions, called ones before their callers; returns the wasm name of the entry. */
  kernel(kernel: LoopKernel): string {
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
    return add(kernel.funcs[0]!);
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
