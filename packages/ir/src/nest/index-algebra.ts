/** Constructors of IndexExpr: integer algebra, simplified at construction. Never used on floats. */

import { dimValue, evalIndex } from "../dim.ts";
import type { Atom, Axis, AxisKind, Dim, IndexExpr, IndexTerm, Range, ScalarExpr, Sym } from "./expr.ts";
import { nextAxisId } from "./scope.ts";

export { dimValue, evalIndex };

/** A new loop axis. */
export function axis(name: string, extent: Dim, kind: AxisKind): Axis {
  return { id: nextAxisId(), name, extent, kind };
}

const clampBound = (x: number): number => (Number.isNaN(x) ? 0 : x);

function build(constant: number, terms: readonly IndexTerm[]): IndexExpr {
  let lo = constant;
  let hi = constant;
  for (const { coef, atom } of terms) {
    lo += clampBound(coef * (coef > 0 ? atom.lo : atom.hi));
    hi += clampBound(coef * (coef > 0 ? atom.hi : atom.lo));
  }
  const parts = terms.map(({ coef, atom }) => (coef === 1 ? atom.key : `${coef}*${atom.key}`));
  if (constant !== 0 || parts.length === 0) parts.push(String(constant));
  return { constant, terms, key: parts.join("+"), lo, hi };
}

export function indexConst(value: number): IndexExpr {
  return build(value, []);
}
export const indexZero: IndexExpr = indexConst(0);

function fromAtom(atom: Atom): IndexExpr {
  return build(0, [{ coef: 1, atom }]);
}

export function axisIndex(of: Axis): IndexExpr {
  const extent = typeof of.extent === "number" ? of.extent : of.extent.hi;
  if (extent === 1) return indexZero;
  return fromAtom({ kind: "axis", axis: of, key: `${of.name}.${of.id}`, lo: 0, hi: Math.max(0, extent - 1) });
}

export function symIndex(sym: Sym): IndexExpr {
  return fromAtom({ kind: "sym", sym, key: sym.name, lo: sym.lo, hi: sym.hi });
}

/** A position computed from data; `value` is already clamped into lo..hi. */
export function dynIndex(value: ScalarExpr, lo: number, hi: number): IndexExpr {
  if (value.kind === "const") return indexConst(Math.min(hi, Math.max(lo, value.value)));
  if (lo === hi) return indexConst(lo);
  return fromAtom({ kind: "dyn", value, key: `dyn(${value.key})`, lo, hi });
}

export function toIndex(dim: Dim): IndexExpr {
  return typeof dim === "number" ? indexConst(dim) : dim;
}

/** A size as a number where it is one. */
export function toDim(index: IndexExpr): Dim {
  return index.terms.length === 0 ? index.constant : index;
}

export function isConst(index: IndexExpr): boolean {
  return index.terms.length === 0;
}

export function sameIndex(a: Dim, b: Dim): boolean {
  if (typeof a === "number" || typeof b === "number") return a === b || toIndex(a).key === toIndex(b).key;
  return a.key === b.key;
}

/** a + b */
export function addIndex(a: Dim, b: Dim): IndexExpr {
  const [x, y] = [toIndex(a), toIndex(b)];
  if (isConst(x) && x.constant === 0) return y;
  if (isConst(y) && y.constant === 0) return x;
  return linear(x.constant + y.constant, [...x.terms, ...y.terms]);
}

function linear(constant: number, terms: readonly IndexTerm[]): IndexExpr {
  const merged = new Map<string, IndexTerm>();
  for (const term of terms) {
    const known = merged.get(term.atom.key);
    merged.set(term.atom.key, known ? { coef: known.coef + term.coef, atom: term.atom } : term);
  }
  const kept = [...merged.values()].filter((t) => t.coef !== 0);
  kept.sort((s, t) => (s.atom.key < t.atom.key ? -1 : 1));
  return recombine(build(constant, kept));
}

/** c*by*(v div by) + c*(v mod by) = c*v */
function recombine(e: IndexExpr): IndexExpr {
  for (const mod of e.terms) {
    if (mod.atom.kind !== "mod") continue;
    const { value, by } = mod.atom;
    const whole = isConst(by) ? undefined : mulIndex(by, divAtom(value, by)).key;
    const div = e.terms.find((t) =>
      whole !== undefined
        ? t.atom.key === whole && t.coef === mod.coef
        : t.atom.kind === "div" &&
          t.atom.value.key === value.key &&
          t.atom.by.key === by.key &&
          t.coef === mod.coef * by.constant,
    );
    if (!div) continue;
    const rest = e.terms.filter((t) => t !== mod && t !== div);
    return addIndex(build(e.constant, rest), scaleIndex(value, mod.coef));
  }
  return e;
}

/** a * factor */
export function scaleIndex(a: Dim, factor: number): IndexExpr {
  const x = toIndex(a);
  if (factor === 1) return x;
  if (factor === 0) return indexZero;
  return build(
    x.constant * factor,
    x.terms.map((t) => ({ coef: t.coef * factor, atom: t.atom })),
  );
}

export function subIndex(a: Dim, b: Dim): IndexExpr {
  return addIndex(a, scaleIndex(b, -1));
}

export function mulIndex(a: Dim, b: Dim): IndexExpr {
  const [x, y] = [toIndex(a), toIndex(b)];
  if (isConst(x)) return scaleIndex(y, x.constant);
  if (isConst(y)) return scaleIndex(x, y.constant);
  const [left, right] = [monomial(x), monomial(y)];
  return scaleIndex(productOf([...left.factors, ...right.factors]), left.coef * right.coef);
}

/** An expression as a number times what is no product itself. */
function monomial(x: IndexExpr): { readonly coef: number; readonly factors: readonly IndexExpr[] } {
  const [only, second] = x.terms;
  if (only === undefined || second !== undefined || x.constant !== 0) return { coef: 1, factors: [x] };
  const { atom } = only;
  if (atom.kind !== "mul") return { coef: only.coef, factors: [fromAtom(atom)] };
  return { coef: only.coef, factors: atom.factors.flatMap((f) => monomial(f).factors) };
}

/** A product in canonical form: the factors in the order of their keys, from the left. */
function productOf(factors: readonly IndexExpr[]): IndexExpr {
  const [first, ...rest] = [...factors].sort((s, t) => (s.key < t.key ? -1 : s.key > t.key ? 1 : 0));
  return rest.reduce(mulAtom, first ?? indexConst(1));
}

/** The factors of a product without those of another; undefined where it has not all of them. */
function quotientOf(product: IndexExpr, by: IndexExpr): IndexExpr | undefined {
  const [whole, part] = [monomial(product), monomial(by)];
  if (whole.coef % part.coef !== 0) return undefined;
  const rest = [...whole.factors];
  for (const factor of part.factors) {
    const at = rest.findIndex((f) => f.key === factor.key);
    if (at < 0) return undefined;
    rest.splice(at, 1);
  }
  return scaleIndex(productOf(rest), whole.coef / part.coef);
}

/** a / b where b certainly divides a: a number that divides all of it, or a product that it is a multiple of. */
export function divideExactly(a: Dim, b: Dim): Dim | undefined {
  const [x, by] = [toIndex(a), toIndex(b)];
  if (isConst(by)) return by.constant !== 0 && isMultiple(x, by.constant) ? toDim(divIndex(x, by)) : undefined;
  const quotient = quotientOf(x, by);
  return quotient === undefined ? undefined : toDim(quotient);
}

function mulAtom(x: IndexExpr, y: IndexExpr): IndexExpr {
  const corners = [x.lo * y.lo, x.lo * y.hi, x.hi * y.lo, x.hi * y.hi].map(clampBound);
  return fromAtom({
    kind: "mul",
    factors: [x, y],
    key: `(${x.key})*(${y.key})`,
    lo: Math.min(...corners),
    hi: Math.max(...corners),
  });
}

/** The part of `x` whose coefficients `by` divides, and the rest. */
function splitMultiples(x: IndexExpr, by: number): { quotient: IndexExpr; rest: IndexExpr } {
  const whole: IndexTerm[] = [];
  const rest: IndexTerm[] = [];
  for (const term of x.terms) {
    if (term.coef % by === 0) whole.push({ coef: term.coef / by, atom: term.atom });
    else rest.push(term);
  }
  const q = Math.floor(x.constant / by);
  return { quotient: build(q, whole), rest: build(x.constant - q * by, rest) };
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * `x` as coarse * step + fine with 0 <= fine < step, for a step that divides `by`: neither the quotient by `by` nor the
 * step within it depends on the fine part. Undefined where no step does it.
 */
function splitFine(x: IndexExpr, by: number): { step: number; coarse: IndexExpr; fine: IndexExpr } | undefined {
  const steps = new Set(x.terms.map(({ coef }) => gcd(Math.abs(coef), by)));
  for (const step of [...steps].filter((s) => s > 1 && s < by).sort((a, b) => b - a)) {
    const { quotient: coarse, rest: fine } = splitMultiples(x, step);
    if (coarse.terms.length > 0 && fine.lo >= 0 && fine.hi < step) return { step, coarse, fine };
  }
  return undefined;
}

/** floor(a / b), b > 0 */
export function divIndex(a: Dim, b: Dim): IndexExpr {
  const [x, by] = [toIndex(a), toIndex(b)];
  if (isConst(by)) {
    const n = by.constant;
    if (n === 1) return x;
    const { quotient, rest } = splitMultiples(x, n);
    if (rest.lo >= 0 && rest.hi < n) return quotient;
    const low = Math.floor(rest.lo / n);
    if (low === Math.floor(rest.hi / n)) return addIndex(quotient, low);
    const only = rest.constant === 0 && rest.terms.length === 1 ? rest.terms[0] : undefined;
    if (only?.coef === 1 && only.atom.kind === "div" && isConst(only.atom.by))
      return addIndex(quotient, divIndex(only.atom.value, only.atom.by.constant * n));
    // (v mod (n*k)) div n  =  (v div n) mod k
    if (only?.coef === 1 && only.atom.kind === "mod" && isConst(only.atom.by) && only.atom.by.constant % n === 0)
      return addIndex(quotient, modIndex(divIndex(only.atom.value, n), only.atom.by.constant / n));
    const parts = splitFine(rest, n);
    if (parts !== undefined) return addIndex(quotient, divIndex(parts.coarse, n / parts.step));
    return addIndex(quotient, divAtom(rest, by));
  }
  if (x.lo >= 0 && below(x, by)) return indexZero;
  const parts = splitByProduct(x, by);
  if (parts !== undefined && parts.rest.lo >= 0 && below(parts.rest, by)) return parts.quotient;
  if (parts !== undefined && parts.rest.hi < 0 && parts.rest.lo >= -by.lo) return addIndex(parts.quotient, -1);
  return divAtom(x, by);
}

/**
 * `x` as quotient * by + rest, where some of its terms are products with a symbolic `by`: a position in [a, by] that was
 * made of one along each axis. Undefined where no term is.
 */
function splitByProduct(x: IndexExpr, by: IndexExpr): { quotient: IndexExpr; rest: IndexExpr } | undefined {
  let quotient = indexZero;
  const rest: IndexTerm[] = [];
  for (const term of x.terms) {
    const part = quotientOf(build(0, [term]), by);
    if (part === undefined) rest.push(term);
    else quotient = addIndex(quotient, part);
  }
  return rest.length === x.terms.length ? undefined : { quotient, rest: build(x.constant, rest) };
}

/** The largest (or least) an index can be, as an expression of the symbolic sizes: axes at their ends. */
function endOf(x: IndexExpr, most: boolean): IndexExpr {
  let out = indexConst(x.constant);
  for (const { coef, atom } of x.terms) {
    const up = coef > 0 === most;
    let end: Dim | undefined;
    if (atom.kind === "sym") end = fromAtom(atom);
    else if (atom.kind === "axis") end = up ? subIndex(atom.axis.extent, 1) : 0;
    else if (atom.kind === "mod") end = up ? subIndex(atom.by, 1) : 0;
    else if (atom.kind === "div" && up) end = divIndex(endOf(atom.value, true), atom.by);
    out = addIndex(out, scaleIndex(end ?? (up ? atom.hi : atom.lo), coef));
  }
  return out;
}

/** Whether a position is certainly less than a size. */
export function below(x: IndexExpr, size: IndexExpr): boolean {
  return x.hi < size.lo || subIndex(endOf(x, true), size).hi < 0;
}

/** Whether a position is certainly a size or more. */
function reaches(x: IndexExpr, size: IndexExpr): boolean {
  return x.lo >= size.hi || subIndex(endOf(x, false), size).lo >= 0;
}

function divAtom(value: IndexExpr, by: IndexExpr): IndexExpr {
  const [lo, hi] = isConst(by)
    ? [Math.floor(value.lo / by.constant), Math.floor(value.hi / by.constant)]
    : [Math.min(0, value.lo), Math.max(0, value.hi)];
  return fromAtom({ kind: "div", value, by, key: `(${value.key})div(${by.key})`, lo, hi });
}

/** a - b * floor(a / b), b > 0 */
export function modIndex(a: Dim, b: Dim): IndexExpr {
  const [x, by] = [toIndex(a), toIndex(b)];
  if (isConst(by)) {
    const n = by.constant;
    if (n === 1) return indexZero;
    const { rest } = splitMultiples(x, n);
    if (rest.lo >= 0 && rest.hi < n) return rest;
    if (Math.floor(rest.lo / n) === Math.floor(rest.hi / n)) return subIndex(rest, Math.floor(rest.lo / n) * n);
    const only = rest.constant === 0 && rest.terms.length === 1 ? rest.terms[0] : undefined;
    if (only?.coef === 1 && only.atom.kind === "mod" && isConst(only.atom.by) && only.atom.by.constant % n === 0)
      return modIndex(only.atom.value, n);
    const parts = splitFine(rest, n);
    if (parts !== undefined)
      return addIndex(scaleIndex(modIndex(parts.coarse, n / parts.step), parts.step), parts.fine);
    return fromAtom({ kind: "mod", value: rest, by, key: `(${rest.key})mod(${by.key})`, lo: 0, hi: n - 1 });
  }
  if (x.lo >= 0 && below(x, by)) return x;
  const parts = splitByProduct(x, by);
  if (parts !== undefined && parts.rest.lo >= 0 && below(parts.rest, by)) return parts.rest;
  return fromAtom({ kind: "mod", value: x, by, key: `(${x.key})mod(${by.key})`, lo: 0, hi: Math.max(0, by.hi - 1) });
}

function extreme(kind: "min" | "max", a: Dim, b: Dim): IndexExpr {
  let [x, y] = [toIndex(a), toIndex(b)];
  if (x.key === y.key) return x;
  if (x.hi <= y.lo) return kind === "min" ? x : y;
  if (y.hi <= x.lo) return kind === "min" ? y : x;
  if (y.key < x.key) [x, y] = [y, x];
  const pick = kind === "min" ? Math.min : Math.max;
  return fromAtom({
    kind,
    args: [x, y],
    key: `${kind}(${x.key},${y.key})`,
    lo: pick(x.lo, y.lo),
    hi: pick(x.hi, y.hi),
  });
}
export const minIndex = (a: Dim, b: Dim): IndexExpr => extreme("min", a, b);
export const maxIndex = (a: Dim, b: Dim): IndexExpr => extreme("max", a, b);

/**
 * Rebuilds an index with every axis (by id) replaced; `data` rewrites the values inside dyn atoms. Axes without an entry stay.
 */
export function substituteIndex(
  e: IndexExpr,
  axes: ReadonlyMap<number, IndexExpr>,
  data: (value: ScalarExpr) => ScalarExpr,
): IndexExpr {
  let out = indexConst(e.constant);
  for (const { coef, atom } of e.terms) out = addIndex(out, scaleIndex(substituteAtom(atom, axes, data), coef));
  return out;
}
function substituteAtom(
  atom: Atom,
  axes: ReadonlyMap<number, IndexExpr>,
  data: (v: ScalarExpr) => ScalarExpr,
): IndexExpr {
  const go = (e: IndexExpr): IndexExpr => substituteIndex(e, axes, data);
  switch (atom.kind) {
    case "axis":
      return axes.get(atom.axis.id) ?? fromAtom(atom);
    case "sym":
      return fromAtom(atom);
    case "div":
      return divIndex(go(atom.value), go(atom.by));
    case "mod":
      return modIndex(go(atom.value), go(atom.by));
    case "mul":
      return mulIndex(go(atom.factors[0]), go(atom.factors[1]));
    case "min":
      return minIndex(go(atom.args[0]), go(atom.args[1]));
    case "max":
      return maxIndex(go(atom.args[0]), go(atom.args[1]));
    case "dyn":
      return dynIndex(data(atom.value), atom.lo, atom.hi);
    default:
      return atom satisfies never;
  }
}

/** Calls `visit` for each atom, nested ones included (not those inside dyn values). */
export function visitAtoms(e: IndexExpr, visit: (atom: Atom) => void): void {
  for (const { atom } of e.terms) {
    visit(atom);
    if (atom.kind === "div" || atom.kind === "mod") {
      visitAtoms(atom.value, visit);
      visitAtoms(atom.by, visit);
    } else if (atom.kind === "mul") for (const f of atom.factors) visitAtoms(f, visit);
    else if (atom.kind === "min" || atom.kind === "max") for (const f of atom.args) visitAtoms(f, visit);
  }
}

/** Whether a range certainly holds, certainly fails, or depends on the point. */
export function decideRange(range: Range): boolean | undefined {
  const [lo, hi] = [toIndex(range.lo), toIndex(range.hi)];
  if (reaches(range.index, lo) && below(range.index, hi)) return true;
  if (below(range.index, lo) || reaches(range.index, hi)) return false;
  return undefined;
}

/** Product of sizes. */
export function sizeOf(shape: readonly Dim[]): Dim {
  return toDim(shape.reduce<IndexExpr>((n, d) => mulIndex(n, d), indexConst(1)));
}

/** Row-major element offset of a position. */
export function linearize(index: readonly IndexExpr[], shape: readonly Dim[]): IndexExpr {
  let out = indexZero;
  index.forEach((ix, i) => {
    out = addIndex(mulIndex(out, shape[i] ?? 1), ix);
  });
  return out;
}

/** The position of a row-major element offset. */
export function delinearize(offset: IndexExpr, shape: readonly Dim[]): IndexExpr[] {
  const out: IndexExpr[] = new Array(shape.length);
  let rest = offset;
  for (let i = shape.length - 1; i >= 0; i--) {
    const size = shape[i] ?? 1;
    out[i] = i === 0 ? rest : modIndex(rest, size);
    rest = divIndex(rest, size);
  }
  return out;
}

/** What a symbolic size is taken for where something must be weighed and nothing is known. */
const typicalSize = 256;

/** A size as a number to weigh costs by; no more than a guess where it is symbolic. */
export function typicalDim(dim: Dim): number {
  if (typeof dim === "number") return dim;
  return evalIndex(dim, (atom) => Math.max(atom.lo, Math.min(atom.hi, typicalSize)));
}

/** Whether a size is a multiple of a number, whatever the symbolic sizes are. */
export function isMultiple(dim: Dim, of: number): boolean {
  const { constant, terms } = toIndex(dim);
  return constant % of === 0 && terms.every((t) => t.coef % of === 0);
}

/** Names of the symbolic sizes in an expression, those inside data positions aside. */
export function symsIn(dim: Dim, into: Map<string, Sym> = new Map()): Map<string, Sym> {
  if (typeof dim !== "number")
    visitAtoms(dim, (atom) => {
      if (atom.kind === "sym") into.set(atom.sym.name, atom.sym);
      else if (atom.kind === "axis") symsIn(atom.axis.extent, into);
    });
  return into;
}

/** A size that must be a number: throws, naming the symbolic dim, where it is not. */
export function staticDim(dim: Dim): number {
  if (typeof dim === "number") return dim;
  if (isConst(dim)) return dim.constant;
  throw new Error(`size ${dim.key} is symbolic where a number is needed`);
}
