/** Constructors of ScalarExpr, keyed canonically, and rebuilding under a substitution. */
import { bytesOf, type DType, isFloat, roundTo } from "../dtype.ts";
import { evalScalar, isScalarOp, scalarOps } from "../scalar-ops.ts";
import type { BufferId, IndexExpr, Range, ScalarExpr } from "./expr.ts";
import { decideRange, substituteIndex } from "./index-algebra.ts";
import { intern } from "./scope.ts";

export function scalarConst(dtype: DType, value: number): ScalarExpr {
  const rounded = roundTo(dtype, value);
  return intern(`${numberKey(rounded)}:${dtype}`, (key) => ({ kind: "const", dtype, value: rounded, key }));
}

const numberKey = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));

/** An index as an i32 value. */
export function scalarIndex(index: IndexExpr): ScalarExpr {
  if (index.terms.length === 0) return scalarConst("i32", index.constant);
  return intern(`index(${index.key})`, (key) => ({ kind: "index", dtype: "i32", index, key }));
}

const guardKey = (guard: readonly Range[]): string =>
  guard
    .map(
      (g) =>
        `${typeof g.lo === "number" ? g.lo : g.lo.key}<=${g.index.key}<${typeof g.hi === "number" ? g.hi : g.hi.key}`,
    )
    .join("&");

/** Drops ranges that always hold; undefined where one never does. */
function trimGuard(guard: readonly Range[]): readonly Range[] | undefined {
  const open: Range[] = [];
  for (const range of guard) {
    const decided = decideRange(range);
    if (decided === false) return undefined;
    if (decided === undefined) open.push(range);
  }
  return open;
}

export function scalarRead(
  dtype: DType,
  buffer: BufferId,
  index: readonly IndexExpr[],
  guard: readonly Range[] = [],
  fill = 0,
): ScalarExpr {
  const open = trimGuard(guard);
  if (open === undefined) return scalarConst(dtype, fill);
  const where = open.length > 0 ? ` if ${guardKey(open)} else ${numberKey(fill)}` : "";
  return intern(`b${buffer}:${dtype}[${index.map((i) => i.key).join(",")}]${where}`, (key) => ({
    kind: "read",
    dtype,
    buffer,
    index,
    guard: open,
    fill,
    key,
  }));
}

/**
 * `value` where every range holds, else `otherwise`. Reads inside `value` get the guard too, so that no memory is read
 * where it fails.
 */
export function scalarGuard(guard: readonly Range[], value: ScalarExpr, otherwise: ScalarExpr): ScalarExpr {
  const open = trimGuard(guard);
  if (open === undefined) return otherwise;
  if (open.length === 0) return value;
  if (value.key === otherwise.key) return value;
  if (value.kind === "read" && value.guard.length === 0 && otherwise.kind === "const")
    return scalarRead(value.dtype, value.buffer, value.index, open, otherwise.value);
  const safe = rewriteScalar(value, noAxes, (node) =>
    node.kind === "read"
      ? scalarRead(node.dtype, node.buffer, node.index, joinGuards(node.guard, open), node.fill)
      : node,
  );
  return intern(`(${safe.key} if ${guardKey(open)} else ${otherwise.key})`, (key) => ({
    kind: "guard",
    dtype: value.dtype,
    guard: open,
    value: safe,
    otherwise,
    key,
  }));
}

const noAxes: ReadonlyMap<number, IndexExpr> = new Map();

function joinGuards(a: readonly Range[], b: readonly Range[]): readonly Range[] {
  const known = new Set(a.map((r) => guardKey([r])));
  return [...a, ...b.filter((r) => !known.has(guardKey([r])))];
}

/** A row of the scalar-op table; folds constants. `dtype` is needed for `cast` and `bitcast` only. */
export function scalarApply(op: string, args: readonly ScalarExpr[], dtype?: DType): ScalarExpr {
  if (op === "cast") return scalarCast(args[0]!, dtype!);
  if (op === "bitcast") return scalarBitcast(args[0]!, dtype!);
  if (!isScalarOp(op)) throw new Error(`no scalar op ${op}`);
  const result = scalarOps[op].type(args.map((a) => a.dtype));
  if (result === undefined) throw new Error(`scalar op ${op} does not take (${args.map((a) => a.dtype).join(", ")})`);
  const values: number[] = [];
  for (const a of args) if (a.kind === "const") values.push(a.value);
  // Where backends differ in the last place a constant must not depend on whether its operand was fused.
  const exact = scalarOps[op].ulp === 0 || !isFloat(result);
  if (exact && values.length === args.length)
    return scalarConst(
      result,
      evalScalar(
        op,
        args.map((a) => a.dtype),
        result,
        values,
      ),
    );
  const sorted = scalarOps[op].commutative && args[1]!.key < args[0]!.key ? [args[1]!, args[0]!] : args;
  return intern(`${op}(${sorted.map((a) => a.key).join(",")})`, (key) => ({
    kind: "op",
    dtype: result,
    op,
    args: sorted,
    key,
  }));
}

/** Conversion by value: floats to integers truncate and saturate (NaN gives 0), integers wrap, to bool is `!= 0`. */
export function scalarCast(x: ScalarExpr, dtype: DType): ScalarExpr {
  if (x.dtype === dtype) return x;
  if (x.kind === "const") return scalarConst(dtype, castValue(x.dtype, dtype, x.value));
  return intern(`cast.${dtype}(${x.key})`, (key) => ({ kind: "op", dtype, op: "cast", args: [x], key }));
}

export function castValue(from: DType, to: DType, value: number): number {
  if (to === "bool") return value !== 0 ? 1 : 0;
  if (isFloat(from) && to === "i32")
    return Number.isNaN(value) ? 0 : Math.min(2147483647, Math.max(-2147483648, Math.trunc(value)));
  if (isFloat(from) && to === "u32")
    return Number.isNaN(value) ? 0 : Math.min(4294967295, Math.max(0, Math.trunc(value)));
  return roundTo(to, value);
}

/** The same bits as another dtype of the same size. */
export function scalarBitcast(x: ScalarExpr, dtype: DType): ScalarExpr {
  if (x.dtype === dtype) return x;
  if (bytesOf(x.dtype) !== bytesOf(dtype)) throw new Error(`bitcast from ${x.dtype} to ${dtype} changes the size`);
  return intern(`bitcast.${dtype}(${x.key})`, (key) => ({ kind: "op", dtype, op: "bitcast", args: [x], key }));
}

/** The bits of a value of `from` read as `to`. Both take 4 bytes, or they are the same. */
export function bitcastValue(from: DType, to: DType, value: number): number {
  if (from === to) return value;
  const bytes = new DataView(new ArrayBuffer(4));
  if (from === "f32") bytes.setFloat32(0, value);
  else bytes.setInt32(0, value | 0);
  return to === "f32" ? bytes.getFloat32(0) : to === "u32" ? bytes.getUint32(0) : bytes.getInt32(0);
}

export function scalarAcc(dtype: DType, accumulator: number, component = 0): ScalarExpr {
  return intern(`acc${accumulator}.${component}:${dtype}`, (key) => ({
    kind: "acc",
    dtype,
    accumulator,
    component,
    key,
  }));
}

export function scalarCarry(dtype: DType, carry: number): ScalarExpr {
  return intern(`carry${carry}:${dtype}`, (key) => ({ kind: "carry", dtype, carry, key }));
}

/**
 * Rebuilds a DAG bottom up (each node once): axes replaced, and `leaf` may replace reads, accs, carries and loop
 * variables after their indices were rewritten. Constants fold and guards settle on the way.
 */
export function rewriteScalar(
  root: ScalarExpr,
  axes: ReadonlyMap<number, IndexExpr>,
  leaf: (node: ScalarExpr) => ScalarExpr = (node) => node,
): ScalarExpr {
  const done = new Map<ScalarExpr, ScalarExpr>();
  const index = (ix: IndexExpr): IndexExpr => substituteIndex(ix, axes, go);
  const guard = (g: readonly Range[]): readonly Range[] =>
    g.map((r) => ({ index: index(r.index), lo: r.lo, hi: r.hi }));
  function go(node: ScalarExpr): ScalarExpr {
    let out = done.get(node);
    if (out === undefined) {
      out = step(node);
      done.set(node, out);
    }
    return out;
  }
  function step(node: ScalarExpr): ScalarExpr {
    switch (node.kind) {
      case "const":
        return node;
      case "acc":
      case "carry":
      case "loopVar":
        return leaf(node);
      case "index":
        return scalarIndex(index(node.index));
      case "read":
        return leaf(scalarRead(node.dtype, node.buffer, node.index.map(index), guard(node.guard), node.fill));
      case "guard":
        return scalarGuard(guard(node.guard), go(node.value), go(node.otherwise));
      case "op":
        return scalarApply(node.op, node.args.map(go), node.dtype);
      case "loop": {
        const [init, test, next] = [node.init.map(go), go(node.test), node.next.map(go)];
        const list = (parts: readonly ScalarExpr[]): string => parts.map((e) => e.key).join(",");
        const structure = `loop${node.loopId}(${list(init)};${test.key};${list(next)};${node.limit}).${node.result}:${node.dtype}`;
        return intern(structure, (key) => ({ ...node, init, test, next, key }));
      }
      default:
        return node satisfies never;
    }
  }
  return go(root);
}

/** Calls `visit` once for each node, operands before users; goes into indices of reads through dyn atoms too. */
export function visitScalar(
  root: ScalarExpr,
  visit: (node: ScalarExpr) => void,
  seen: Set<ScalarExpr> = new Set(),
): void {
  if (seen.has(root)) return;
  seen.add(root);
  for (const child of scalarChildren(root)) visitScalar(child, visit, seen);
  visit(root);
}

/** Direct operands, those inside dyn indices and guards included. */
export function scalarChildren(node: ScalarExpr): readonly ScalarExpr[] {
  switch (node.kind) {
    case "op":
      return node.args;
    case "read":
      return dataOf(node.index, node.guard);
    case "index":
      return dataOf([node.index], noRanges);
    case "guard":
      return [...dataOf([], node.guard), node.value, node.otherwise];
    case "loop":
      return [...node.init, node.test, ...node.next];
    default:
      return [];
  }
}

const noRanges: readonly Range[] = [];

/** The values inside dyn atoms of positions and ranges. */
function dataOf(index: readonly IndexExpr[], guard: readonly Range[]): ScalarExpr[] {
  const out: ScalarExpr[] = [];
  for (const ix of index) addData(ix, out);
  for (const range of guard) addData(range.index, out);
  return out;
}
function addData(e: IndexExpr, into: ScalarExpr[]): void {
  for (const { atom } of e.terms) {
    if (atom.kind === "dyn") into.push(atom.value);
    else if (atom.kind === "div" || atom.kind === "mod") {
      addData(atom.value, into);
      addData(atom.by, into);
    } else if (atom.kind === "mul") for (const f of atom.factors) addData(f, into);
    else if (atom.kind === "min" || atom.kind === "max") for (const f of atom.args) addData(f, into);
  }
}

/** Work of a DAG, shared nodes once, in units of one multiplication. */
export function scalarCost(root: ScalarExpr): number {
  let cost = 0;
  visitScalar(root, (node) => {
    cost += ownCost(node);
  });
  return cost;
}

/** Work on the longest way from the root down, each node counting at least one. */
export function scalarDepth(root: ScalarExpr): number {
  const depths = new Map<ScalarExpr, number>();
  visitScalar(root, (node) => {
    const below = scalarChildren(node).reduce((most, child) => Math.max(most, depths.get(child)!), 0);
    depths.set(node, below + Math.max(1, ownCost(node)));
  });
  return depths.get(root)!;
}

function ownCost(node: ScalarExpr): number {
  if (node.kind === "op") return isScalarOp(node.op) ? scalarOps[node.op].cost : 1;
  return node.kind === "loop" ? 100 : 0;
}
