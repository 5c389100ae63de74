/** Statements and functions: Loop IR control flow to wasm's. Bounds of a `for` are computed once, before it. */
import { type LoopExpr, type LoopFunc, type LoopStmt, loopExprsOf, type WasmFeatures } from "@sinter/ir";
import type { Assembler, Code } from "../asm.ts";
import { isNonNegative } from "./address.ts";
import { FuncContext, type LoopScope, registerType } from "./context.ts";
import { countUses, emitExpr, isStable } from "./expr.ts";
import { emitStore } from "./memory.ts";

type Stmt<K extends LoopStmt["kind"]> = Extract<LoopStmt, { kind: K }>;

/** Adds a function to the module under a name; `callee` translates names of called functions. */
export function emitFunc(
  asm: Assembler,
  features: WasmFeatures,
  func: LoopFunc,
  name: string,
  callee: (name: string) => string,
): void {
  const c = new FuncContext(asm, features, emitExpr);
  for (const pointer of func.pointers) c.bindPointer(pointer, c.param("i32"));
  for (const param of func.params) c.bindParam(param, c.param(registerType(param.type)));
  const body = c.collect(() => emitList(c, func.body, callee));
  asm.func(name, c.params, c.localTypes(), [...c.prologue, ...body]);
}

type Callee = (name: string) => string;

function emitList(c: FuncContext, list: readonly LoopStmt[], callee: Callee): void {
  for (const s of list) {
    const mark = c.mark();
    for (const e of loopExprsOf(s)) countUses(c, e);
    emitStmt(c, s, callee);
    c.endStatement(mark, (e) => isStable(c, e));
  }
}

function emitStmt(c: FuncContext, s: LoopStmt, callee: Callee): void {
  const { asm } = c;
  switch (s.kind) {
    case "let": {
      const codes = c.plain(s.value);
      c.define(s.variable, s.value.type.scalar === "i32" && isNonNegative(c, s.value));
      c.setVariable(s.variable, codes);
      return;
    }
    case "assign":
      c.setVariable(s.variable, c.plain(s.value));
      return;
    case "store":
      emitStore(c, s.pointer, s.index, s.value, s.active);
      return;
    case "for":
      emitFor(c, s, callee);
      return;
    case "while":
      emitWhile(c, s, callee);
      return;
    case "if": {
      const test = c.temp(c.one(s.test), "i32");
      const mark = c.mark();
      const then = c.collect(() => emitList(c, s.then, callee));
      const otherwise = c.collect(() => emitList(c, s.else, callee));
      if (c.mark() !== mark) throw new Error("values shared inside a branch escaped it");
      if (then.length + otherwise.length > 0) c.list.push(asm.if(test(), then, otherwise));
      return;
    }
    case "call":
      c.list.push(asm.call(callee(s.func), [...pointers(c, s), ...s.args.map((a) => c.one(a))]));
      return;
    case "par":
      emitPar(c, s, callee);
      return;
    case "barrier":
    case "groupFold":
      throw new Error(`${s.kind} runs on GPUs only`);
    default:
      s satisfies never;
  }
}

const pointers = (c: FuncContext, s: Stmt<"call"> | Stmt<"par">): Code[] =>
  s.pointers.map((p) => c.asm.get(c.pointerLocal(p), "i32"));

/** A value for use in every round: a constant, an immutable variable, or a local computed here. */
function fixedValue(c: FuncContext, e: LoopExpr): () => Code {
  if (e.kind === "const" || (e.kind === "var" && !e.variable.mutable)) return () => c.one(e);
  return c.temp(c.one(e), "i32");
}

function emitFor(c: FuncContext, s: Stmt<"for">, callee: Callee): void {
  const { asm } = c;
  const from = c.one(s.from);
  const to = fixedValue(c, s.to);
  c.define(s.variable, isNonNegative(c, s.from), c.level + 1);
  c.setVariable(s.variable, [from]);
  const counter = c.variableLocal(s.variable);
  const get = (): Code => asm.get(counter, "i32");
  let body: Code[] = [];
  const loop = inLoop(c, s, () => {
    body = c.collect(() => emitList(c, s.body, callee));
  });
  body.push(...loop.latch, asm.set(counter, c.op("AddInt32", get(), asm.i32(s.step))));
  const rounds = asm.doWhile(body, c.op("LtSInt32", get(), to()));
  const known = s.from.kind === "const" && s.to.kind === "const" && s.from.value < s.to.value;
  if (known) c.list.push(...loop.preheader, rounds);
  else c.list.push(asm.if(c.op("LtSInt32", get(), to()), [...loop.preheader, rounds]));
}

/** Emits what belongs to one round of a loop: `emit` runs inside it. */
function inLoop(c: FuncContext, counted: Stmt<"for"> | undefined, emit: () => void): LoopScope {
  const loop: LoopScope = {
    variable: counted?.variable,
    step: counted?.step ?? 0,
    from: counted?.from.kind === "const" ? Number(counted.from.value) : undefined,
    preheader: [],
    latch: [],
    addresses: new Map(),
  };
  const outer = c.loops;
  c.loops = [...outer, loop];
  emit();
  c.loops = outer;
  return loop;
}

function emitWhile(c: FuncContext, s: Stmt<"while">, callee: Callee): void {
  let condition: Code | undefined;
  let test: Code[] = [];
  let body: Code[] = [];
  const loop = inLoop(c, undefined, () => {
    // What the test shares is computed anew in each round, so it may not outlive the test's own list.
    test = c.collect(() => {
      condition = c.one(s.test);
    });
    body = c.collect(() => emitList(c, s.body, callee));
  });
  c.list.push(...loop.preheader, c.asm.whileDo(test, condition!, body));
}

/** Without threads: the chunks one after the other. */
function emitPar(c: FuncContext, s: Stmt<"par">, callee: Callee): void {
  const { asm } = c;
  const chunks = fixedValue(c, s.chunks);
  const args = s.args.map((a) => fixedValue(c, a));
  const chunk = c.local("i32");
  const get = (): Code => asm.get(chunk, "i32");
  c.list.push(asm.set(chunk, asm.i32(0)));
  const round = [
    asm.call(callee(s.func), [...pointers(c, s), get(), ...args.map((a) => a())]),
    asm.set(chunk, c.op("AddInt32", get(), asm.i32(1))),
  ];
  c.list.push(asm.whileDo([], c.op("LtSInt32", get(), chunks()), round));
}
