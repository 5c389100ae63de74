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
  type LoopStep,
  type LoopStmt,
  type MemoryKind,
  type Plan,
  printLoopFunc,
  type Slot,
  staticDim,
  type WasmFeatures,
  type WasmProgram,
} from "@sinter/ir";
import type { Assembler, Code, WasmType } from "../asm.ts";
import { Encoder } from "../encode/encoder.ts";
import { TextWriter } from "../encode/text.ts";
import { fingerprint } from "./fingerprint.ts";
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

/** `run(table)`: loads the pointers it needs, then walks the control tree. */
class RunFunction {
  private readonly asm: Assembler;
  private readonly program: LoopProgram;
  private readonly plan: Plan;
  private readonly entries: readonly string[];
  private readonly locals: WasmType[] = [];
  /** Locals that hold pointers, by slot. */
  private readonly pointers = new Map<number, number>();
  private readonly prologue: Code[] = [];

  constructor(asm: Assembler, program: LoopProgram, plan: Plan, entries: readonly string[]) {
    this.asm = asm;
    this.program = program;
    this.plan = plan;
    this.entries = entries;
  }

  emit(): void {
    const body = this.steps(this.program.steps);
    this.asm.func("run", ["i32"], this.locals, [...this.prologue, ...body]);
    this.asm.exportFunc("run");
  }

  private local(): number {
    this.locals.push("i32");
    return this.locals.length;
  }

  private slotPointer(slot: number): Code {
    let local = this.pointers.get(slot);
    if (local === undefined) {
      local = this.local();
      this.pointers.set(slot, local);
      this.prologue.push(this.asm.set(local, this.asm.load("i32", this.asm.get(0, "i32"), slot * 4)));
    }
    return this.asm.get(local, "i32");
  }

  private arena(offset: number): Code {
    const base = this.slotPointer(0);
    return offset === 0 ? base : this.asm.binary("AddInt32", base, this.asm.i32(offset));
  }

  private buffer(id: number): Code {
    const place = this.plan.places[id];
    if (place?.kind === "arena") return this.arena(staticDim(place.offset));
    if (place?.kind === "slot") return this.slotPointer(place.slot);
    if (place?.kind === "same") return this.buffer(place.as);
    throw new Error(`buffer ${this.program.buffers[id]?.name ?? id} has no place in the memory plan`);
  }

  private steps(list: readonly LoopStep[]): Code[] {
    return list.flatMap((s) => this.step(s));
  }

  private step(s: LoopStep): Code[] {
    const { asm } = this;
    switch (s.kind) {
      case "kernel": {
        const kernel = this.program.kernels[s.kernel]!;
        const buffers = kernel.buffers.map((id) => this.buffer(id));
        const scratch = kernel.scratch.map((_, i) => this.arena(staticDim(this.plan.scratch[s.kernel]![i]!)));
        return [asm.call(this.entries[s.kernel]!, [...buffers, ...scratch])];
      }
      case "copy":
        return this.copy(s.from, s.to);
      case "if":
        return this.branch(s.index, s.branches);
      case "for":
        return this.counted(s);
      case "while": {
        const predicate = this.scalar(s.predicate);
        return [asm.whileDo(this.steps(s.test), predicate, this.steps(s.body))];
      }
      default:
        return s satisfies never;
    }
  }

  private copy(from: number, to: number): Code[] {
    const bytes = bytesOfBuffer(this.program.buffers[to]!);
    if (bytes === 0) return [];
    const copy = this.asm.memoryCopy(this.buffer(to), this.buffer(from), this.asm.i32(bytes));
    // A state and its replacement may be the same memory: then nothing is to be done.
    return [this.asm.if(this.asm.binary("NeInt32", this.buffer(to), this.buffer(from)), [copy])];
  }

  /** The value of a rank-0 i32, u32 or bool buffer. */
  private scalar(id: number): Code {
    const { dtype } = this.program.buffers[id]!;
    return this.asm.load("i32", this.buffer(id), 0, dtype === "bool" ? 1 : 4);
  }

  /** Branch number `index`, clamped to the branches there are. */
  private branch(index: number, branches: readonly (readonly LoopStep[])[]): Code[] {
    if (branches.length === 1) return this.steps(branches[0]!);
    const { asm } = this;
    const local = this.local();
    let chain = this.steps(branches.at(-1)!);
    for (let i = branches.length - 2; i >= 0; i--) {
      const reached = asm.binary("LeSInt32", asm.get(local, "i32"), asm.i32(i));
      chain = [asm.if(reached, this.steps(branches[i]!), chain)];
    }
    return [asm.set(local, this.scalar(index)), ...chain];
  }

  /** The counter is a buffer, for kernels to read, and a local, which no kernel can change. */
  private counted(s: Extract<LoopStep, { kind: "for" }>): Code[] {
    const count = staticDim(s.count);
    if (count <= 0) return [];
    const { asm } = this;
    const local = this.local();
    const get = (): Code => asm.get(local, "i32");
    const round = [
      asm.store("i32", this.buffer(s.counter), 0, get()),
      ...this.steps(s.body),
      asm.set(local, asm.binary("AddInt32", get(), asm.i32(1))),
    ];
    return [asm.set(local, asm.i32(0)), asm.doWhile(round, asm.binary("LtSInt32", get(), asm.i32(count)))];
  }
}
