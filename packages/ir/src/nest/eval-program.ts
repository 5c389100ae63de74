/** Runs nests on host arrays, point by point: the oracle for fusion and for schedules. Simple and slow. */
import { allocate, type DType, isFloat, roundTo, type TypedArray } from "../dtype.ts";
import { answerCall, type HostCall, type HostFunction } from "../host-call.ts";
import { evalLoopKernel } from "../loop/eval.ts";
import { evalScalar, isScalarOp } from "../scalar-ops.ts";
import { combineIdentity, combineOp, replacesBest } from "./combine.ts";
import type { Atom, Axis, BufferId, Dim, IndexExpr, Range, ScalarExpr } from "./expr.ts";
import { evalIndex, sizeOf, toIndex } from "./index-algebra.ts";
import type { Accumulator, Combine, LibraryKernel, Nest, NestKernel, NestProgram, NestStep } from "./nest.ts";
import { bitcastValue, castValue } from "./scalar-expr.ts";

export interface EvalNestOptions {
  /** New states are written over the old ones, as the runtime does where nobody else holds them. */
  readonly statesInPlace?: boolean;
  /** Values of symbolic dims. */
  readonly syms?: ReadonlyMap<string, number>;
  /** Answers calls of the program. */
  readonly host?: HostFunction;
}

/**
 * `args`: contents of the `arg`, `const` and `state` buffers in order of their ids, embedded constants left out.
 * Returns those of the `result` and `stateOut` buffers in order of their ids. What no step writes is NaN (or a pattern).
 */
export function evalNests(
  program: NestProgram,
  args: readonly TypedArray[],
  options: EvalNestOptions = {},
): readonly TypedArray[] {
  const machine = new Machine(program, args, options);
  machine.run(program.steps);
  return program.buffers
    .filter((b) => b.kind === "result" || b.kind === "stateOut")
    .map((b) => machine.memory[b.id]!.slice());
}

interface AccState {
  value: number;
  position: number;
}
interface PendingStore {
  readonly data: TypedArray;
  readonly at: number;
  readonly value: number;
  readonly combine: Combine | undefined;
  readonly dtype: DType;
}

/** What is known at a point; each round of a loop inside a payload opens one of its own. */
interface Memo {
  readonly values: Map<ScalarExpr, number>;
  /** The slots of loops, by group. */
  readonly loops: Map<string, readonly number[]>;
  readonly outer: Memo | undefined;
}
const newMemo = (outer?: Memo): Memo => ({ values: new Map(), loops: new Map(), outer });

class Machine {
  readonly memory: TypedArray[] = [];
  private readonly program: NestProgram;
  private readonly axes = new Map<number, number>();
  private readonly syms: ReadonlyMap<string, number>;
  private readonly host: HostFunction | undefined;
  private accumulators: AccState[][] = [];
  private carries: number[] = [];
  private readonly loopVars = new Map<number, readonly number[]>();
  private memo = newMemo();

  constructor(program: NestProgram, args: readonly TypedArray[], options: EvalNestOptions) {
    this.program = program;
    this.syms = options.syms ?? new Map();
    this.host = options.host;
    let next = 0;
    for (const decl of program.buffers) {
      const size = this.size(sizeOf(decl.shape));
      const outside = decl.kind === "arg" || decl.kind === "const" || decl.kind === "state";
      const inPlace = options.statesInPlace === true && decl.kind === "stateOut";
      const given = decl.data ?? (outside ? args[next++]!.slice() : inPlace ? this.memory[decl.replaces!] : undefined);
      const data = given ?? allocate(decl.dtype, size).fill(isFloat(decl.dtype) ? Number.NaN : 77);
      if (data.length !== size) throw new Error(`buffer ${decl.name} has ${size} elements, ${data.length} were given`);
      this.memory.push(data);
    }
  }

  run(steps: readonly NestStep[]): void {
    for (const step of steps) {
      switch (step.kind) {
        case "kernel":
          if (step.kernel.kind === "nests") this.kernel(step.kernel);
          else this.library(step.kernel);
          break;
        case "host":
          this.call(step.call, step.operands, step.results);
          break;
        case "copy":
          this.memory[step.to]!.set(this.memory[step.from]!);
          break;
        case "swap":
          [this.memory[step.a], this.memory[step.b]] = [this.memory[step.b]!, this.memory[step.a]!];
          break;
        case "if":
          this.run(step.branches[Math.min(step.branches.length - 1, Math.max(0, this.first(step.index)))]!);
          break;
        case "for": {
          const count = this.size(step.count);
          for (let i = 0; i < count; i++) {
            this.memory[step.counter]![0] = i;
            this.takeSlices(step.counter, i, count);
            this.run(step.body);
          }
          break;
        }
        case "while":
          for (;;) {
            this.run(step.test);
            if (this.first(step.predicate) === 0) break;
            this.run(step.body);
          }
          break;
        default:
          step satisfies never;
      }
    }
  }

  private call(call: HostCall, operands: readonly BufferId[], results: readonly BufferId[]): void {
    const given = operands.map((id, i) => ({ ...call.operands[i]!, data: this.memory[id]!.slice() }));
    for (const [i, { data }] of answerCall(call, given, this.host).entries()) this.memory[results[i]!]!.set(data);
  }

  private first(id: BufferId): number {
    return this.memory[id]![0]!;
  }

  /** Points the slices of a loop at what they are in round `i`. */
  private takeSlices(counter: BufferId, i: number, count: number): void {
    for (const { id, slice, shape } of this.program.buffers) {
      if (slice?.counter !== counter) continue;
      const size = this.size(sizeOf(shape));
      const at = slice.reverse ? count - 1 - i : i;
      this.memory[id] = this.memory[slice.of]!.subarray(at * size, (at + 1) * size);
    }
  }

  private kernel(kernel: NestKernel): void {
    this.each(kernel.outer, () => {
      for (const nest of kernel.nests) this.nest(nest);
    });
  }

  private library({ name, loops, args, writes }: LibraryKernel): void {
    const kernel = { ...loops, name, buffers: args, writes, aliasable: [], schedule: "library" };
    evalLoopKernel(
      kernel,
      args.map((id) => this.memory[id]!),
    );
  }

  private nest(nest: Nest): void {
    const par = nest.axes.filter((a) => a.kind === "par");
    const tail = nest.axes.filter((a) => a.kind !== "par");
    const folds = nest.accumulators.length > 0 || tail.some((a) => a.kind === "red");
    this.each(par, () => {
      this.accumulators = nest.accumulators.map((a) =>
        a.values.map(() => ({ value: combineIdentity(a.combine, a.dtype), position: -1 })),
      );
      this.memo = newMemo();
      this.carries = nest.carries.map((c) => this.scalar(c.init));
      let position = 0;
      this.each(tail, () => {
        this.memo = newMemo();
        for (const [i, a] of nest.accumulators.entries()) this.fold(a, this.accumulators[i]!, position);
        position++;
        const stores = this.stores(nest, "body");
        const next = nest.carries.map((c) => this.scalar(c.next));
        this.commit(stores);
        this.carries = next;
      });
      this.memo = newMemo();
      if (folds) for (const [i, a] of nest.accumulators.entries()) this.finish(a, this.accumulators[i]!);
      this.commit(this.stores(nest, "end"));
    });
  }

  private each(axes: readonly Axis[], visit: () => void, from = 0): void {
    const axis = axes[from];
    if (axis === undefined) {
      visit();
      return;
    }
    const extent = this.size(axis.extent);
    for (let i = 0; i < extent; i++) {
      this.axes.set(axis.id, i);
      this.each(axes, visit, from + 1);
    }
  }

  /** Sums and products of floats are kept in float64 and rounded once, like the graph's reference. */
  private fold(a: Accumulator, state: AccState[], position: number): void {
    const value = this.scalar(a.values[0]!);
    const best = state[0]!;
    if (a.combine === "argMax" || a.combine === "argMin") {
      if (best.position >= 0 && !replacesBest(a.combine, value, best.value)) return;
      best.value = value;
      best.position = position;
      state[1]!.value = this.scalar(a.values[1]!);
      return;
    }
    const wide = isFloat(a.dtype) ? "f64" : a.dtype;
    best.value = evalScalar(combineOp(a.combine), [wide, wide], wide, [best.value, value]);
  }

  private finish(a: Accumulator, state: AccState[]): void {
    state[0]!.value = roundTo(a.dtype, state[0]!.value);
  }

  private stores(nest: Nest, when: "body" | "end"): PendingStore[] {
    const out: PendingStore[] = [];
    for (const store of nest.stores) {
      if (store.when !== when || !this.holds(store.guard ?? [])) continue;
      const decl = this.program.buffers[store.buffer]!;
      const at = this.offset(store.buffer, store.index);
      const value = this.scalar(store.value);
      out.push({ data: this.memory[store.buffer]!, at, value, combine: store.combine, dtype: decl.dtype });
    }
    return out;
  }

  private commit(stores: readonly PendingStore[]): void {
    for (const { data, at, value, combine, dtype } of stores) {
      if (combine === undefined) data[at] = value;
      else if (combine === "argMax" || combine === "argMin") throw new Error("a store cannot fold pairs");
      else data[at] = evalScalar(combineOp(combine), [dtype, dtype], dtype, [data[at]!, value]);
    }
  }

  private offset(buffer: BufferId, index: readonly IndexExpr[]): number {
    const decl = this.program.buffers[buffer]!;
    let out = 0;
    for (const [i, ix] of index.entries()) {
      const [at, size] = [this.index(ix), this.size(decl.shape[i]!)];
      if (at < 0 || at >= size) throw new Error(`position ${at} of axis ${i} is outside ${decl.name} of size ${size}`);
      out = out * size + at;
    }
    return out;
  }

  private holds(guard: readonly Range[]): boolean {
    return guard.every(({ index, lo, hi }) => {
      const at = this.index(index);
      return at >= this.size(lo) && at < this.size(hi);
    });
  }

  private size(dim: Dim): number {
    return this.index(toIndex(dim));
  }

  private index(ix: IndexExpr): number {
    return evalIndex(ix, (atom) => this.atom(atom));
  }

  private atom(atom: Atom): number {
    if (atom.kind === "axis") return this.axes.get(atom.axis.id)!;
    if (atom.kind === "sym") return this.syms.get(atom.sym.name)!;
    if (atom.kind === "dyn") return Math.min(atom.hi, Math.max(atom.lo, this.scalar(atom.value)));
    throw new Error(`an index atom of kind ${atom.kind} has no value of its own`);
  }

  private scalar(e: ScalarExpr): number {
    for (let memo: Memo | undefined = this.memo; memo !== undefined; memo = memo.outer) {
      const known = memo.values.get(e);
      if (known !== undefined) return known;
    }
    const value = this.compute(e);
    this.memo.values.set(e, value);
    return value;
  }

  private compute(e: ScalarExpr): number {
    switch (e.kind) {
      case "const":
        return e.value;
      case "index":
        return this.index(e.index);
      case "read":
        return this.holds(e.guard) ? this.memory[e.buffer]![this.offset(e.buffer, e.index)]! : e.fill;
      case "guard":
        return this.holds(e.guard) ? this.scalar(e.value) : this.scalar(e.otherwise);
      case "acc":
        return this.accumulators[e.accumulator]![e.component]!.value;
      case "carry":
        return this.carries[e.carry]!;
      case "loopVar":
        return this.loopVars.get(e.loopId)![e.slot]!;
      case "loop":
        return this.loop(e);
      case "op": {
        const args = e.args.map((a) => this.scalar(a));
        const from = e.args[0]!.dtype;
        if (e.op === "cast") return castValue(from, e.dtype, args[0]!);
        if (e.op === "bitcast") return bitcastValue(from, e.dtype, args[0]!);
        if (!isScalarOp(e.op)) throw new Error(`no scalar op ${e.op}`);
        return evalScalar(
          e.op,
          e.args.map((a) => a.dtype),
          e.dtype,
          args,
        );
      }
      default:
        return e satisfies never;
    }
  }

  private loop(e: ScalarExpr & { readonly kind: "loop" }): number {
    for (let memo: Memo | undefined = this.memo; memo !== undefined; memo = memo.outer) {
      const known = memo.loops.get(e.group);
      if (known !== undefined) return known[e.result]!;
    }
    let slots: readonly number[] = e.init.map((x) => this.scalar(x));
    const outer = this.memo;
    for (let i = 0; i < e.limit; i++) {
      this.loopVars.set(e.loopId, slots);
      this.memo = newMemo(outer);
      if (this.scalar(e.test) === 0) break;
      slots = e.next.map((x) => this.scalar(x));
    }
    this.loopVars.delete(e.loopId);
    this.memo = outer;
    outer.loops.set(e.group, slots);
    return slots[e.result]!;
  }
}
