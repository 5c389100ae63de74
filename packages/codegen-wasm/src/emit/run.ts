/**
 * An exported `run(table)`: the control tree of a program as calls of kernels, ifs and loops. Buffers are pointers; those
 * that change places with others, and slices, have locals that follow them.
 */
import {
  type BufferDecl,
  bytesOf,
  type Dim,
  type IndexTerm,
  type LoopProgram,
  type LoopStep,
  type Plan,
  scaleIndex,
  sizeOf,
  symsOfProgram,
  toDim,
  visitSteps,
  workSteps,
} from "@sinter/ir";
import type { Assembler, Code, WasmType } from "../asm.ts";

/** Bytes up to which a copy is loads and stores. */
const fewBytes = 16;

/** Functions that take the number of a step that begins or is done. */
export interface Clock {
  readonly enter: string;
  readonly leave: string;
}

/** The wasm functions of each kernel and of each call outside. */
interface Names {
  readonly kernels: readonly string[];
  readonly calls: readonly string[];
  readonly clock: Clock | undefined;
}

export class RunFunction {
  private readonly asm: Assembler;
  private readonly name: string;
  private readonly program: LoopProgram;
  private readonly plan: Plan;
  private readonly names: Names;
  /** Numbers of the steps that the clock is told of. */
  private readonly timed: ReadonlyMap<LoopStep, number>;
  private readonly locals: WasmType[] = [];
  /** Locals that hold pointers, by slot. */
  private readonly slots = new Map<number, number>();
  /** Locals that hold pointers, by buffer: of those whose place changes. */
  private readonly moving = new Map<number, number>();
  /** By counter: the slices that its loop uses. */
  private readonly slices = new Map<number, number[]>();
  /** Buffers that kernels, copies and branches take. */
  private readonly used = new Set<number>();
  private readonly prologue: Code[] = [];
  /** Slots of the symbolic sizes, by name. */
  private readonly syms: ReadonlyMap<string, number>;
  /** Locals that hold sizes made of symbolic ones, by key. */
  private readonly sizes = new Map<string, number>();

  /** `name`: what it is exported as. */
  constructor(asm: Assembler, name: string, program: LoopProgram, plan: Plan, names: Names) {
    this.asm = asm;
    this.name = name;
    this.program = program;
    this.plan = plan;
    this.names = names;
    this.timed = new Map(names.clock === undefined ? [] : workSteps(program.steps).map((step, i) => [step, i]));
    const first = 1 + program.buffers.filter((b) => isSlotKind(b.kind)).length;
    this.syms = new Map(symsOfProgram(program).map((sym, i) => [sym.name, first + i]));
  }

  emit(): void {
    const swapped = new Set<number>();
    this.survey(swapped);
    // From the outside in: what a slice is taken of may be a slice.
    for (const id of this.used) this.useSlice(id);
    for (const { id, slice } of this.program.buffers) {
      if (slice === undefined || !this.used.has(id)) continue;
      this.moving.set(id, this.local());
      this.slices.set(slice.counter, [...(this.slices.get(slice.counter) ?? []), id]);
    }
    const starts = [...swapped].map((id) => [id, this.place(id)] as const);
    for (const [id, at] of starts) {
      const local = this.local();
      this.moving.set(id, local);
      this.prologue.push(this.asm.set(local, at));
    }
    const body = this.steps(this.program.steps);
    this.asm.func(this.name, ["i32"], this.locals, [...this.prologue, ...body]);
    this.asm.exportFunc(this.name);
  }

  private survey(swapped: Set<number>): void {
    visitSteps(this.program.steps, (s) => {
      if (s.kind === "kernel") for (const id of this.program.kernels[s.kernel]!.buffers) this.used.add(id);
      if (s.kind === "host") for (const id of [...s.operands, ...s.results]) this.used.add(id);
      if (s.kind === "copy") this.used.add(s.from).add(s.to);
      if (s.kind === "swap") swapped.add(s.a).add(s.b);
      if (s.kind === "if") this.used.add(s.index);
      if (s.kind === "while") this.used.add(s.predicate);
    });
  }

  private useSlice(id: number): void {
    for (let at = this.program.buffers[id]!.slice?.of; at !== undefined; at = this.program.buffers[at]!.slice?.of)
      this.used.add(at);
  }

  private local(): number {
    this.locals.push("i32");
    return this.locals.length;
  }

  private slotPointer(slot: number): Code {
    let local = this.slots.get(slot);
    if (local === undefined) {
      local = this.local();
      this.slots.set(slot, local);
      this.prologue.push(this.asm.set(local, this.asm.load("i32", this.asm.get(0, "i32"), slot * 4)));
    }
    return this.asm.get(local, "i32");
  }

  private arena(offset: Dim): Code {
    const base = this.slotPointer(0);
    return offset === 0 ? base : this.asm.binary("AddInt32", base, this.size(offset));
  }

  /** A size; where it is symbolic, it is computed once, when the program starts. */
  private size(dim: Dim): Code {
    if (typeof dim === "number") return this.asm.i32(dim);
    let local = this.sizes.get(dim.key);
    if (local === undefined) {
      let sum: Code | undefined;
      for (const term of dim.terms) {
        const code = this.term(term);
        sum = sum === undefined ? code : this.asm.binary("AddInt32", sum, code);
      }
      if (dim.constant !== 0) sum = this.asm.binary("AddInt32", sum!, this.asm.i32(dim.constant));
      local = this.local();
      this.sizes.set(dim.key, local);
      this.prologue.push(this.asm.set(local, sum!));
    }
    return this.asm.get(local, "i32");
  }

  private term({ coef, atom }: IndexTerm): Code {
    const code = this.atom(atom);
    return coef === 1 ? code : this.asm.binary("MulInt32", code, this.asm.i32(coef));
  }

  private atom(atom: IndexTerm["atom"]): Code {
    const { asm } = this;
    switch (atom.kind) {
      case "sym":
        return this.slotPointer(this.syms.get(atom.sym.name)!);
      case "mul":
        return asm.binary("MulInt32", this.part(atom.factors[0]), this.part(atom.factors[1]));
      // Sizes are not negative, nor is what they are made of.
      case "div":
        return asm.binary("DivUInt32", this.part(atom.value), this.part(atom.by));
      case "mod":
        return asm.binary("RemUInt32", this.part(atom.value), this.part(atom.by));
      case "min":
      case "max": {
        const [a, b] = atom.args;
        const less = asm.binary("LtSInt32", this.part(a), this.part(b));
        return atom.kind === "min"
          ? asm.select(less, this.part(a), this.part(b))
          : asm.select(less, this.part(b), this.part(a));
      }
      default:
        throw new Error(`${atom.key} is no size`);
    }
  }

  private part(index: Exclude<Dim, number>): Code {
    return this.size(toDim(index));
  }

  private buffer(id: number): Code {
    const local = this.moving.get(id);
    return local === undefined ? this.place(id) : this.asm.get(local, "i32");
  }

  /** Where the plan puts a buffer. */
  private place(id: number): Code {
    const place = this.plan.places[id];
    if (place?.kind === "arena") return this.arena(place.offset);
    if (place?.kind === "slot") return this.slotPointer(place.slot);
    if (place?.kind === "same") return this.place(place.as);
    throw new Error(`buffer ${this.program.buffers[id]?.name ?? id} has no place in the memory plan`);
  }

  private steps(list: readonly LoopStep[]): Code[] {
    return list.flatMap((s) => this.clocked(s, this.step(s)));
  }

  private clocked(s: LoopStep, code: Code[]): Code[] {
    const { asm, names, timed } = this;
    const number = timed.get(s);
    if (names.clock === undefined || number === undefined || code.length === 0) return code;
    const tell = (name: string): Code => asm.call(name, [asm.i32(number)]);
    return [tell(names.clock.enter), ...code, tell(names.clock.leave)];
  }

  private step(s: LoopStep): Code[] {
    const { asm } = this;
    switch (s.kind) {
      case "kernel": {
        const kernel = this.program.kernels[s.kernel]!;
        const buffers = kernel.buffers.map((id) => this.buffer(id));
        const scratch = kernel.scratch.map((_, i) => this.arena(this.plan.scratch[s.kernel]![i]!));
        const sizes = (kernel.syms ?? []).map((name) => this.slotPointer(this.syms.get(name)!));
        return [asm.call(this.names.kernels[s.kernel]!, [...buffers, ...scratch, ...sizes])];
      }
      case "host":
        return [
          asm.call(
            this.names.calls[s.call]!,
            [...s.operands, ...s.results].map((id) => this.buffer(id)),
          ),
        ];
      case "copy":
        return this.copy(s.from, s.to);
      case "swap":
        return this.swap(s.a, s.b);
      case "if":
        return this.branch(s.index, s.branches);
      case "for":
        return this.counted(s);
      case "while": {
        const test = this.steps(s.test);
        return [asm.whileDo(test, this.scalar(s.predicate), this.steps(s.body))];
      }
      default:
        return s satisfies never;
    }
  }

  private copy(from: number, to: number): Code[] {
    const { asm } = this;
    const bytes = bytesOfBuffer(this.program.buffers[to]!);
    if (bytes === 0 || (this.isFixed(from) && this.isFixed(to) && this.root(from) === this.root(to))) return [];
    if (typeof bytes === "number" && bytes <= fewBytes) return this.copyFew(from, to, bytes);
    const copy = asm.memoryCopy(this.buffer(to), this.buffer(from), this.size(bytes));
    // A state and its replacement may be the same memory: then nothing is to be done.
    return [asm.if(asm.binary("NeInt32", this.buffer(to), this.buffer(from)), [copy])];
  }

  private copyFew(from: number, to: number, bytes: number): Code[] {
    const { asm } = this;
    const out: Code[] = [];
    for (let at = 0; at < bytes; ) {
      const size = [16, 8, 4, 1].find((n) => n <= bytes - at)!;
      const type = size === 16 ? "v128" : size === 8 ? "i64" : "i32";
      out.push(asm.store(type, this.buffer(to), at, asm.load(type, this.buffer(from), at, size), size));
      at += size;
    }
    return out;
  }

  private isFixed(id: number): boolean {
    return !this.moving.has(id);
  }

  /** The buffer whose place it has. */
  private root(id: number): number {
    const place = this.plan.places[id];
    return place?.kind === "same" ? this.root(place.as) : id;
  }

  private swap(a: number, b: number): Code[] {
    const { asm } = this;
    const [first, second] = [this.moving.get(a)!, this.moving.get(b)!];
    const saved = this.local();
    return [
      asm.set(saved, asm.get(first, "i32")),
      asm.set(first, asm.get(second, "i32")),
      asm.set(second, asm.get(saved, "i32")),
    ];
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
    if (branches.length === 2 && this.program.buffers[index]!.dtype === "bool") {
      const [no, yes] = branches.map((list) => this.steps(list)) as [Code[], Code[]];
      if (yes.length === 0) return no.length === 0 ? [] : [asm.if(asm.unary("EqZInt32", this.scalar(index)), no)];
      return [asm.if(this.scalar(index), yes, no)];
    }
    const local = this.local();
    let chain = this.steps(branches.at(-1)!);
    for (let i = branches.length - 2; i >= 0; i--) {
      const reached = asm.binary("LeSInt32", asm.get(local, "i32"), asm.i32(i));
      chain = [asm.if(reached, this.steps(branches[i]!), chain)];
    }
    return [asm.set(local, this.scalar(index)), ...chain];
  }

  /** The counter is a local, which no kernel can change; a buffer too where something reads it. */
  private counted(s: Extract<LoopStep, { kind: "for" }>): Code[] {
    const { count } = s;
    if (typeof count === "number" && count <= 0) return [];
    const { asm } = this;
    const local = this.local();
    const get = (): Code => asm.get(local, "i32");
    const shown = this.used.has(s.counter) ? [asm.store("i32", this.buffer(s.counter), 0, get())] : [];
    const round = [
      ...shown,
      ...(this.slices.get(s.counter) ?? []).map((id) => this.takeSlice(id, count, get)),
      ...this.steps(s.body),
      asm.set(local, asm.binary("AddInt32", get(), asm.i32(1))),
    ];
    const again = (): Code => asm.binary("LtSInt32", get(), this.size(count));
    if (typeof count === "number") return [asm.set(local, asm.i32(0)), asm.doWhile(round, again())];
    return [asm.set(local, asm.i32(0)), asm.whileDo([], again(), round)];
  }

  private takeSlice(id: number, count: Dim, counter: () => Code): Code {
    const { asm } = this;
    const decl = this.program.buffers[id]!;
    const { of, reverse } = decl.slice!;
    const last = (): Code =>
      typeof count === "number" ? asm.i32(count - 1) : asm.binary("SubInt32", this.size(count), asm.i32(1));
    const at = reverse ? asm.binary("SubInt32", last(), counter()) : counter();
    const offset = asm.binary("MulInt32", at, this.size(bytesOfBuffer(decl)));
    return asm.set(this.moving.get(id)!, asm.binary("AddInt32", this.buffer(of), offset));
  }
}

function bytesOfBuffer(buffer: BufferDecl): Dim {
  return toDim(scaleIndex(sizeOf(buffer.shape), bytesOf(buffer.dtype)));
}

function isSlotKind(kind: BufferDecl["kind"]): boolean {
  return kind !== "temp" && kind !== "row" && kind !== "slice";
}
