/**
 * The loops that are open while a kernel is being built. A value is bound in the outermost loop that fixes all it
 * depends on, once, and found again there: this is loop-invariant code motion at construction.
 */
import { type Axis, type Dim, type LoopExpr, loop } from "../index.ts";
import { type SymValues, sizeExpr } from "./sizes.ts";

interface Level {
  /** Depth of the statement list in the function builder. */
  readonly depth: number;
  /** What was bound in this list, by key. */
  readonly bound: Map<string, LoopExpr>;
}

export class Levels {
  readonly func: loop.FuncBuilder;
  private readonly stack: Level[];
  private epochs = 0;
  private readonly axes = new Map<number, { readonly value: LoopExpr; readonly level: number }>();

  private readonly syms: SymValues;

  constructor(func: loop.FuncBuilder, syms: SymValues) {
    this.func = func;
    this.syms = syms;
    this.stack = [{ depth: func.depth, bound: new Map() }];
  }

  /** Number of the innermost open loop. */
  get innermost(): number {
    return this.stack.length - 1;
  }

  /** for (axis = from; axis < to; axis += step) with the axis bound inside. */
  loop(axis: Axis, from: LoopExpr, to: LoopExpr, step: number, body: () => void): void {
    this.func.for(axis.name, from, to, step, (value) => this.inside(axis, value, body));
  }

  /** Runs `body` with the axis bound to a value in a level of its own. */
  inside(axis: Axis, value: LoopExpr, body: () => void): void {
    this.stack.push({ depth: this.func.depth, bound: new Map() });
    const outer = this.axes.get(axis.id);
    this.axes.set(axis.id, { value, level: this.innermost });
    try {
      body();
    } finally {
      if (outer) this.axes.set(axis.id, outer);
      else this.axes.delete(axis.id);
      this.stack.pop();
    }
  }

  /** Runs `body` in a level of its own, for a statement list that has just been opened. */
  scope(body: () => void): void {
    this.stack.push({ depth: this.func.depth, bound: new Map() });
    try {
      body();
    } finally {
      this.stack.pop();
    }
  }

  /** Runs `body` so that its statements go to the end of the list of a level. */
  at(level: number, body: () => void): void {
    this.func.at(this.stack[level]!.depth, body);
  }

  axis(id: number): { readonly value: LoopExpr; readonly level: number } {
    const bound = this.axes.get(id);
    if (bound === undefined) throw new Error(`axis ${id} is used outside its loop`);
    return bound;
  }

  /** A size as an i32, computed before all loops where it is symbolic. */
  size(dim: Dim): LoopExpr {
    if (typeof dim === "number") return loop.i32(dim);
    const key = `size ${dim.key}`;
    return this.find(key) ?? this.bind(0, key, "size", sizeExpr(dim, this.syms));
  }

  /** What a key was bound to in an open level. */
  find(key: string): LoopExpr | undefined {
    for (let i = this.innermost; i >= 0; i--) {
      const found = this.stack[i]!.bound.get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** A number that no other set of accumulator values in this function has: nests share its lists, and their keys may agree. */
  newEpoch(): number {
    return ++this.epochs;
  }

  /** Forgets what was bound, for when memory has changed and the same key may mean another value. */
  forget(): void {
    for (const { bound } of this.stack) bound.clear();
  }

  /** Binds a value in the list of a level, so that later uses in and below it find it. */
  bind(level: number, key: string, name: string, value: LoopExpr): LoopExpr {
    const { depth, bound } = this.stack[level]!;
    const variable = this.func.letAt(depth, name, value);
    bound.set(key, variable);
    return variable;
  }
}
