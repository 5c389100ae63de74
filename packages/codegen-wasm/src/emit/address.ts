/**
 * Addresses: an index becomes a base local plus a constant offset. V8 moves little out of wasm loops, so what does not
 * change in a loop is computed before it, and what grows with the loop counter is a local bumped at the end of a round.
 */
import { bytesOf, type LoopExpr, type LoopPointer } from "@sinter/ir";
import type { Code } from "../asm.ts";
import type { FuncContext, Linear, Term } from "./context.ts";

/** Where element `index` of a pointer lies: `base` (a fresh expression) plus a constant number of bytes. */
export function address(c: FuncContext, pointer: LoopPointer, index: LoopExpr): { base: Code; offset: number } {
  const { constant, terms } = linearize(c, index);
  const size = bytesOf(pointer.element);
  const bytes = constant * size;
  // Wasm adds the offset to the base without wrapping, so it must not repair a base that went below zero.
  const asOffset = bytes >= 0 && terms.every((t) => t.nonNegative && t.coef > 0);
  const fixed = terms.filter((t) => t.depth <= c.level);
  let base = baseAt(c, c.level, fixed, pointer, asOffset ? 0 : bytes);
  for (const t of terms) if (t.depth > c.level) base = c.op("AddInt32", base, scaled(c, t.atom, t.coef * size));
  return { base, offset: asOffset ? bytes : 0 };
}

/** Pointer plus terms, computed in the body of the loop of this level. */
function baseAt(c: FuncContext, level: number, terms: readonly Term[], pointer: LoopPointer, bytes: number): Code {
  const here = (t: Term): boolean => level === 0 || (t.depth === level && !movesWith(c, t, level));
  const size = bytesOf(pointer.element);
  const local =
    level === 0
      ? c.pointerLocal(pointer)
      : baseLocal(
          c,
          level,
          terms.filter((t) => !here(t)),
          pointer,
          bytes,
        );
  let code = c.asm.get(local, "i32");
  for (const t of terms) if (here(t)) code = c.op("AddInt32", code, scaled(c, t.atom, t.coef * size));
  return level === 0 && bytes !== 0 ? c.op("AddInt32", code, c.asm.i32(bytes)) : code;
}

/** A local that holds pointer plus terms throughout each round of the loop of this level. */
function baseLocal(c: FuncContext, level: number, terms: readonly Term[], pointer: LoopPointer, bytes: number): number {
  if (terms.length === 0 && bytes === 0) return c.pointerLocal(pointer);
  const loop = c.loops[level - 1]!;
  const key = `${pointer.id}+${bytes}${terms.map((t) => `+${t.coef}*${t.key}`).join("")}`;
  const known = loop.addresses.get(key);
  if (known !== undefined) return known;
  const moving = terms.filter((t) => t.depth === level);
  const local = c.before(level, () => {
    const outer = terms.filter((t) => t.depth < level);
    const settled =
      moving.length === 0 && level > 1 && outer.every((t) => t.depth < level - 1 || movesWith(c, t, level - 1));
    if (settled) return baseLocal(c, level - 1, outer, pointer, bytes);
    let code = baseAt(c, level - 1, outer, pointer, bytes);
    const size = bytesOf(pointer.element);
    // The counter already holds its first value here.
    if (loop.from !== 0) for (const t of moving) code = c.op("AddInt32", code, scaled(c, t.atom, t.coef * size));
    const made = c.local("i32");
    c.list.push(c.asm.set(made, code));
    for (const t of moving) {
      const step = stepOf(c, t, t.coef * size * loop.step, loop.variable!.id);
      loop.latch.push(c.asm.set(made, c.op("AddInt32", c.asm.get(made, "i32"), step)));
    }
    return made;
  });
  loop.addresses.set(key, local);
  return local;
}

/** The other factor of `counter * factor`, or undefined where the atom is the counter itself. */
function factorOf(atom: LoopExpr, counter: number): LoopExpr | undefined {
  if (atom.kind !== "op" || atom.op !== "mul") return undefined;
  const [a, b] = atom.args as readonly [LoopExpr, LoopExpr];
  return a.kind === "var" && a.variable.id === counter ? b : a;
}

/** Whether a term changes by the same amount in each round of a loop. */
function movesWith(c: FuncContext, t: Term, level: number): boolean {
  const counter = c.loops[level - 1]?.variable;
  if (counter === undefined || t.depth !== level) return false;
  const isCounter = (e: LoopExpr): boolean => e.kind === "var" && e.variable.id === counter.id;
  if (isCounter(t.atom)) return true;
  if (t.atom.kind !== "op" || t.atom.op !== "mul") return false;
  const [a, b] = t.atom.args as readonly [LoopExpr, LoopExpr];
  return (isCounter(a) && depthOf(c, b) < level) || (isCounter(b) && depthOf(c, a) < level);
}

/** By how much a moving term changes in a round; a factor that is not constant is computed before the loop. */
function stepOf(c: FuncContext, t: Term, scale: number, counter: number): Code {
  const factor = factorOf(t.atom, counter);
  return factor === undefined ? c.asm.i32(scale) : c.temp(scaled(c, factor, scale), "i32")();
}

function scaled(c: FuncContext, atom: LoopExpr, scale: number): Code {
  const code = c.one(atom);
  if (scale === 1) return code;
  if (scale > 0 && (scale & (scale - 1)) === 0) return c.op("ShlInt32", code, c.asm.i32(31 - Math.clz32(scale)));
  return c.op("MulInt32", code, c.asm.i32(scale));
}

/** Level of the innermost loop that changes an expression; Infinity for loads and mutable variables. */
export function depthOf(c: FuncContext, e: LoopExpr): number {
  if (e.kind === "const") return 0;
  if (e.kind === "var") return c.depthOf(e.variable);
  let depth = c.exprDepths.get(e);
  if (depth === undefined) c.exprDepths.set(e, (depth = computeDepth(c, e)));
  return depth;
}

function computeDepth(c: FuncContext, e: Exclude<LoopExpr, { kind: "const" | "var" }>): number {
  switch (e.kind) {
    case "op":
    case "pack":
      return e.args.reduce((most, a) => Math.max(most, depthOf(c, a)), 0);
    case "load":
      return Infinity;
    case "ramp":
      return depthOf(c, e.base);
    case "splat":
    case "lane":
    case "fold":
    case "any":
      return depthOf(c, e.arg);
    default:
      return e satisfies never;
  }
}

/** Whether an i32 expression cannot be negative; parameters and counters of upward loops are positions. */
export function isNonNegative(c: FuncContext, e: LoopExpr): boolean {
  if (e.type.lanes !== 1) return false;
  if (e.kind === "const") return typeof e.value === "number" && e.value >= 0;
  if (e.kind === "var") return c.isNonNegativeVariable(e.variable);
  if (e.kind !== "op") return false;
  const known = (a: LoopExpr): boolean => isNonNegative(c, a);
  switch (e.op) {
    case "add":
    case "mul":
    case "min":
    case "div":
    case "divU":
    case "remU":
      return e.args.every(known);
    case "max":
    case "and":
      return e.args.some(known);
    case "shr":
      return known(e.args[0]!);
    case "select":
      return known(e.args[1]!) && known(e.args[2]!);
    default:
      return false;
  }
}

function linearize(c: FuncContext, e: LoopExpr): Linear {
  let found = c.linear.get(e);
  if (found === undefined) c.linear.set(e, (found = linearForm(c, e)));
  return found;
}

function linearForm(c: FuncContext, e: LoopExpr): Linear {
  if (e.kind === "const") return { constant: Number(e.value) | 0, terms: [] };
  if (e.kind === "op") {
    const [a, b] = e.args;
    if (e.op === "add") return combine(linearize(c, a!), linearize(c, b!), 1);
    if (e.op === "sub") return combine(linearize(c, a!), linearize(c, b!), -1);
    if (e.op === "mul" || e.op === "shl") {
      const factor = b!.kind === "const" ? Number(b!.value) : undefined;
      if (factor !== undefined) return scale(linearize(c, a!), e.op === "mul" ? factor : 2 ** factor);
    }
  }
  const term = { coef: 1, atom: e, key: c.atomKey(e), depth: depthOf(c, e), nonNegative: isNonNegative(c, e) };
  return { constant: 0, terms: [term] };
}

function scale(a: Linear, by: number): Linear {
  if (by === 0) return { constant: 0, terms: [] };
  return { constant: Math.imul(a.constant, by), terms: a.terms.map((t) => ({ ...t, coef: Math.imul(t.coef, by) })) };
}

function combine(a: Linear, b: Linear, sign: number): Linear {
  const terms = new Map<string, Term>(a.terms.map((t) => [t.key, t]));
  for (const t of b.terms) {
    const coef = (terms.get(t.key)?.coef ?? 0) + sign * t.coef;
    if (coef === 0) terms.delete(t.key);
    else terms.set(t.key, { ...t, coef });
  }
  return { constant: (a.constant + sign * b.constant) | 0, terms: [...terms.values()].sort(byKey) };
}
const byKey = (a: Term, b: Term): number => (a.key < b.key ? -1 : 1);
