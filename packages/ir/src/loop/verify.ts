/** Checks that Loop IR is well formed: types and lanes agree, names are defined before use, calls fit. */
import { describeType } from "./build.ts";
import type { LoopExpr, LoopFunc, LoopKernel, LoopPointer, LoopStmt, LoopType, LoopVar } from "./loop.ts";
import { foldOps, loopOpType } from "./machine-ops.ts";
import { loopOperands, printLoopExpr, printLoopFunc } from "./print.ts";

/** Throws an error that says what is wrong, in which function and expression. */
export function verifyLoopKernel(kernel: LoopKernel): void {
  const names = new Set<string>();
  for (const func of kernel.funcs) {
    if (names.has(func.name)) throw new Error(`kernel ${kernel.name}: two functions named ${func.name}`);
    names.add(func.name);
    verifyLoopFunc(func, kernel.funcs);
  }
  const entry = kernel.funcs[0];
  if (entry === undefined) throw new Error(`kernel ${kernel.name} has no function`);
  const bound = kernel.buffers.length + kernel.scratch.length;
  if (entry.pointers.length !== bound)
    throw new Error(`kernel ${kernel.name}: entry takes ${entry.pointers.length} pointers, ${bound} are bound`);
  const syms = kernel.syms?.length ?? 0;
  if (kernel.grids === undefined && entry.params.length !== syms)
    throw new Error(`kernel ${kernel.name}: the entry's integer parameters are not its symbolic sizes`);
  for (const grid of kernel.grids ?? []) {
    const func = kernel.funcs.find((f) => f.name === grid.func);
    if (func?.pointers.length !== bound || func.params.length !== 2 + syms)
      throw new Error(`kernel ${kernel.name}: ${grid.func} does not take what a grid hands to it`);
  }
}

/** Checks one function; calls are checked against `funcs` where given. */
export function verifyLoopFunc(func: LoopFunc, funcs?: readonly LoopFunc[]): void {
  new Verifier(func, funcs).run();
}

const same = (a: LoopType, b: LoopType): boolean => a.scalar === b.scalar && a.lanes === b.lanes;
const i32: LoopType = { scalar: "i32", lanes: 1 };
const test: LoopType = { scalar: "bool", lanes: 1 };

class Verifier {
  private readonly func: LoopFunc;
  private readonly funcs: readonly LoopFunc[] | undefined;
  /** Variables in scope, by id. */
  private readonly scope = new Map<number, LoopVar>();
  private readonly ids = new Set<number>();
  private readonly pointers = new Map<number, LoopPointer>();
  /** Expressions checked while all their variables were in scope; emptied when a scope ends. */
  private checked = new Set<LoopExpr>();

  constructor(func: LoopFunc, funcs: readonly LoopFunc[] | undefined) {
    this.func = func;
    this.funcs = funcs;
  }

  run(): void {
    for (const p of [...this.func.pointers, ...(this.func.locals ?? []).map((local) => local.pointer)]) {
      if (this.pointers.has(p.id)) this.fail(`two pointers numbered ${p.id}`);
      this.pointers.set(p.id, p);
      if (p.half && (p.element !== "f32" || p.space !== "workgroup"))
        this.fail(`${p.name} is ${p.element} in ${p.space} memory: only f32 of a group can be kept as f16`);
    }
    for (const v of this.func.params) {
      if (v.type.lanes !== 1 || (v.type.scalar !== "i32" && v.type.scalar !== "u32"))
        this.fail(`parameter ${v.name} is ${describeType(v.type)}, not an integer`);
      if (v.mutable) this.fail(`parameter ${v.name} is mutable`);
      this.bind(v);
    }
    this.list(this.func.body);
  }

  private fail(message: string, e?: LoopExpr): never {
    const where = e === undefined ? "" : `\n  in ${printLoopExpr(e)}`;
    throw new Error(`loop function ${this.func.name}: ${message}${where}\n${printLoopFunc(this.func)}`);
  }

  private bind(v: LoopVar): void {
    if (this.ids.has(v.id)) this.fail(`two variables numbered ${v.id}`);
    this.ids.add(v.id);
    this.lanes(v.type.lanes);
    this.scope.set(v.id, v);
  }

  private lanes(lanes: number): void {
    if (lanes !== 1 && lanes !== 4) this.fail(`${lanes} lanes: vectors have 4`);
  }

  private list(list: readonly LoopStmt[]): void {
    const before = [...this.scope.keys()];
    for (const s of list) this.statement(s);
    const keep = new Set(before);
    for (const id of [...this.scope.keys()]) if (!keep.has(id)) this.scope.delete(id);
    this.checked = new Set();
  }

  private statement(s: LoopStmt): void {
    switch (s.kind) {
      case "let":
        this.typed(s.value, s.variable.type, `value of ${s.variable.name}`);
        this.bind(s.variable);
        return;
      case "assign":
        if (this.scope.get(s.variable.id) !== s.variable) this.fail(`assignment to undefined ${s.variable.name}`);
        if (!s.variable.mutable) this.fail(`assignment to ${s.variable.name}, which is not mutable`);
        this.typed(s.value, s.variable.type, `value of ${s.variable.name}`);
        return;
      case "store":
        this.pointer(s.pointer);
        this.typed(s.index, i32, "index of a store");
        this.typed(
          s.value,
          { scalar: s.pointer.element, lanes: s.value.type.lanes },
          `value stored to ${s.pointer.name}`,
        );
        this.active(s.active, s.value.type.lanes);
        return;
      case "for":
        this.typed(s.from, i32, "start of a loop");
        this.typed(s.to, i32, "end of a loop");
        if (!Number.isInteger(s.step) || s.step <= 0) this.fail(`a loop steps by ${s.step}`);
        if (!same(s.variable.type, i32) || s.variable.mutable) this.fail(`loop counter ${s.variable.name} is no i32`);
        this.bind(s.variable);
        this.list(s.body);
        this.scope.delete(s.variable.id);
        return;
      case "while":
        this.typed(s.test, test, "test of a loop");
        this.list(s.body);
        return;
      case "if":
        this.typed(s.test, test, "test of an if");
        this.list(s.then);
        this.list(s.else);
        return;
      case "call":
        this.invocation(s.func, s.pointers, s.args, 0);
        return;
      case "par":
        this.typed(s.chunks, i32, "number of chunks");
        this.invocation(s.func, s.pointers, s.args, 1);
        return;
      case "barrier":
        return;
      case "groupFold":
        if (s.value.type.lanes !== 1) this.fail("a fold over a group takes one lane");
        if (s.threads !== undefined && !(s.threads > 0 && Number.isInteger(Math.log2(s.threads))))
          this.fail(`a fold of each ${s.threads} threads: they must be a power of two`);
        this.typed(s.value, s.variable.type, `value of ${s.variable.name}`);
        this.bind(s.variable);
        return;
      default:
        s satisfies never;
    }
  }

  private invocation(name: string, pointers: readonly LoopPointer[], args: readonly LoopExpr[], own: number): void {
    for (const p of pointers) this.pointer(p);
    for (const a of args) this.expr(a);
    if (this.funcs === undefined) return;
    const callee = this.funcs.find((f) => f.name === name) ?? this.fail(`no function ${name} to call`);
    const elements = (list: readonly LoopPointer[]): string => list.map((p) => p.element).join(", ");
    if (elements(callee.pointers) !== elements(pointers))
      this.fail(`${name} takes pointers to (${elements(callee.pointers)}), not (${elements(pointers)})`);
    if (callee.params.length !== args.length + own)
      this.fail(`${name} takes ${callee.params.length} integers, not ${args.length + own}`);
    for (const [i, a] of args.entries()) this.typed(a, callee.params[i + own]!.type, `argument ${i} of ${name}`);
  }

  private pointer(p: LoopPointer): void {
    if (this.pointers.get(p.id) !== p) this.fail(`pointer ${p.name}#${p.id} is not a parameter`);
  }

  private active(active: number | undefined, lanes: number): void {
    if (active !== undefined && !(Number.isInteger(active) && active >= 0 && active <= lanes))
      this.fail(`${active} of ${lanes} lanes active`);
  }

  private typed(e: LoopExpr, type: LoopType, what: string): void {
    this.expr(e);
    if (!same(e.type, type)) this.fail(`${what} is ${describeType(e.type)}, not ${describeType(type)}`, e);
  }

  private expr(e: LoopExpr): void {
    if (this.checked.has(e)) return;
    for (const operand of loopOperands(e)) this.expr(operand);
    this.lanes(e.type.lanes);
    const expected = this.typeOf(e);
    if (expected === undefined || !same(expected, e.type)) {
      const found = loopOperands(e).map((a) => describeType(a.type));
      this.fail(`${describeType(e.type)} does not follow from (${found.join(", ")})`, e);
    }
    this.checked.add(e);
  }

  private typeOf(e: LoopExpr): LoopType | undefined {
    const one = (arg: LoopExpr): boolean => arg.type.lanes === 1;
    switch (e.kind) {
      case "const":
        if ((e.type.scalar === "i64") !== (typeof e.value === "bigint")) this.fail("a constant of the wrong kind", e);
        return e.type;
      case "var":
        if (this.scope.get(e.variable.id) !== e.variable)
          this.fail(`${e.variable.name}%${e.variable.id} is not in scope`, e);
        return e.variable.type;
      case "op":
        return loopOpType(
          e.op,
          e.args.map((a) => a.type),
          e.type.scalar,
        );
      case "load":
        this.pointer(e.pointer);
        this.active(e.active, e.type.lanes);
        return same(e.index.type, i32) ? { scalar: e.pointer.element, lanes: e.type.lanes } : undefined;
      case "splat":
        return one(e.arg) && e.type.lanes > 1 ? { scalar: e.arg.type.scalar, lanes: e.type.lanes } : undefined;
      case "ramp":
        return same(e.base.type, i32) ? { scalar: "i32", lanes: e.type.lanes } : undefined;
      case "pack": {
        const { scalar } = e.args[0]!.type;
        const fits = e.args.every((a) => one(a) && a.type.scalar === scalar);
        return fits ? { scalar, lanes: e.args.length } : undefined;
      }
      case "lane":
        if (!(e.lane >= 0 && e.lane < e.arg.type.lanes)) this.fail(`no lane ${e.lane}`, e);
        return { scalar: e.arg.type.scalar, lanes: 1 };
      case "fold":
        if (!foldOps.has(e.op)) this.fail(`${e.op} cannot fold`, e);
        return { scalar: e.arg.type.scalar, lanes: 1 };
      case "any":
        return e.arg.type.scalar === "bool" ? test : undefined;
      default:
        return e satisfies never;
    }
  }
}
