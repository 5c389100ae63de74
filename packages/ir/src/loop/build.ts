/**
 * Building Loop IR: the constructors of expressions (make.ts), and `FuncBuilder`, which numbers variables and collects
 * statements. Meant to be imported as one name: `import { loop } from "@sinter/ir"`, then `loop.add(i, loop.i32(4))`.
 */
import type { ScalarType } from "../dtype.ts";
import type { AddressSpace, LocalArray, LoopExpr, LoopFunc, LoopPointer, LoopStmt, LoopType, LoopVar } from "./loop.ts";
import { constValue, isNonNegative, markNonNegative, type, use } from "./make.ts";

export * from "./make.ts";

export function ifStmt(test: LoopExpr, then: readonly LoopStmt[], otherwise: readonly LoopStmt[] = []): LoopStmt {
  return { kind: "if", test, then, else: otherwise };
}

/** Collects statements into the list that is open, numbers variables, and finishes as a `LoopFunc`. */
export class FuncBuilder {
  readonly name: string;
  private readonly pointers: LoopPointer[] = [];
  private readonly params: LoopVar[] = [];
  private readonly locals: LocalArray[] = [];
  private readonly body: LoopStmt[] = [];
  private open: LoopStmt[] = this.body;
  /** The statement lists that are open, outermost first; the last is `open`. */
  private readonly lists: LoopStmt[][] = [this.body];
  private nextVariable = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Declares a pointer parameter; they come in the order of declaration. */
  pointer(name: string, element: ScalarType, space: AddressSpace = "heap"): LoopPointer {
    const pointer: LoopPointer = { id: this.pointers.length + this.locals.length, name, element, space };
    this.pointers.push(pointer);
    return pointer;
  }

  /** Declares memory of the group or of each thread. GPUs only. `half`: f32 elements are kept as f16. */
  array(
    name: string,
    element: ScalarType,
    elements: number,
    space: "workgroup" | "private",
    half = false,
  ): LoopPointer {
    const id = this.pointers.length + this.locals.length;
    const pointer: LoopPointer = { id, name, element, space, ...(half ? { half } : {}) };
    this.locals.push({ pointer, elements });
    return pointer;
  }

  /** Declares an i32 parameter (not negative by contract). */
  param(name: string): LoopExpr {
    const variable = this.variable(name, type("i32"), false);
    markNonNegative(variable);
    this.params.push(variable);
    return use(variable);
  }

  /** A new variable of this function, bound by nothing yet. */
  variable(name: string, of: LoopType, mutable: boolean): LoopVar {
    return { id: this.nextVariable++, name, type: of, mutable };
  }

  push(...statements: readonly LoopStmt[]): void {
    this.open.push(...statements);
  }

  /** Binds a name to a value computed here, once. Constants and variables that cannot change stay as they are. */
  let(name: string, value: LoopExpr): LoopExpr {
    if (value.kind === "const" || (value.kind === "var" && !value.variable.mutable)) return value;
    const variable = this.variable(name, value.type, false);
    if (value.type.scalar === "i32" && value.type.lanes === 1 && isNonNegative(value)) markNonNegative(variable);
    this.open.push({ kind: "let", variable, value });
    return use(variable);
  }

  /** How many statement lists are open around the current one. */
  get depth(): number {
    return this.lists.length - 1;
  }

  /** Like `let`, but at the end of the list open at `depth`: before the loops inside it that are still being built. */
  letAt(depth: number, name: string, value: LoopExpr): LoopExpr {
    return this.at(depth, () => this.let(name, value));
  }

  /** Runs `body` so that what it pushes goes to the end of the list open at `depth`. */
  at<T>(depth: number, body: () => T): T {
    const inner = this.open;
    this.open = this.lists[depth]!;
    try {
      return body();
    } finally {
      this.open = inner;
    }
  }

  /** A mutable local. */
  local(name: string, initial: LoopExpr): LoopVar {
    const variable = this.variable(name, initial.type, true);
    this.open.push({ kind: "let", variable, value: initial });
    return variable;
  }

  assign(variable: LoopVar, value: LoopExpr): void {
    this.open.push({ kind: "assign", variable, value });
  }

  /** Stores all lanes, or the first `active`. A one-lane value beside `lanes` is splat. */
  store(pointer: LoopPointer, index: LoopExpr, value: LoopExpr, active = value.type.lanes): void {
    this.open.push(
      active === value.type.lanes
        ? { kind: "store", pointer, index, value }
        : { kind: "store", pointer, index, value, active },
    );
  }

  /** for (i = from; i < to; i += step). No loop at all where the bounds are constant and empty. */
  for(name: string, from: LoopExpr, to: LoopExpr, step: number, body: (i: LoopExpr) => void): void {
    const [lo, hi] = [constValue(from), constValue(to)];
    if (lo !== undefined && hi !== undefined) {
      if (lo >= hi) return;
      // One round only: the counter is a constant.
      if (lo + step >= hi) {
        body(from);
        return;
      }
    }
    const variable = this.variable(name, type("i32"), false);
    if (isNonNegative(from)) markNonNegative(variable);
    this.open.push({ kind: "for", variable, from, to, step, body: this.collect(() => body(use(variable))) });
  }

  while(test: LoopExpr, body: () => void): void {
    this.open.push({ kind: "while", test, body: this.collect(body) });
  }

  if(test: LoopExpr, then: () => void, otherwise?: () => void): void {
    const known = constValue(test);
    if (known === undefined)
      this.open.push(ifStmt(test, this.collect(then), otherwise === undefined ? [] : this.collect(otherwise)));
    else if (known !== 0) then();
    else otherwise?.();
  }

  call(func: LoopFunc | string, pointers: readonly LoopPointer[], args: readonly LoopExpr[] = []): void {
    this.open.push({ kind: "call", func: typeof func === "string" ? func : func.name, pointers, args });
  }

  /** Calls `func` for each chunk number, passed before `args`. */
  par(
    chunks: LoopExpr,
    func: LoopFunc | string,
    pointers: readonly LoopPointer[],
    args: readonly LoopExpr[] = [],
  ): void {
    this.open.push({ kind: "par", chunks, func: typeof func === "string" ? func : func.name, pointers, args });
  }

  barrier(): void {
    this.open.push({ kind: "barrier" });
  }

  /** The fold of a value over all threads of the group, or each `threads` neighbours, in each of them. GPUs only. */
  groupFold(name: string, op: string, value: LoopExpr, threads?: number): LoopExpr {
    const variable = this.variable(name, value.type, false);
    this.open.push({ kind: "groupFold", variable, op, value, ...(threads === undefined ? {} : { threads }) });
    return use(variable);
  }

  /** Runs `body` with a fresh open list and returns what it pushed. */
  collect(body: () => void): readonly LoopStmt[] {
    const outer = this.open;
    const mine: LoopStmt[] = [];
    this.open = mine;
    this.lists.push(mine);
    try {
      body();
    } finally {
      this.lists.pop();
      this.open = outer;
    }
    return mine;
  }

  finish(): LoopFunc {
    const { name, pointers, params, locals, body } = this;
    return { name, pointers, params, ...(locals.length > 0 ? { locals } : {}), body };
  }
}
