/** Constructors of ScalarExpr, keyed canonically, and rebuilding under a substitution. */
import { bytesOf, type DType, isFloat, roundTo } from "../dtype.ts";
import { evalScalar, isScalarOp, scalarOps } from "../scalar-ops.ts";
import type { BufferId, IndexExpr, Range, ScalarExpr } from "./expr.ts";
import { decideRange, substituteIndex } from "./index-algebra.ts";
import { intern, nextLoopId } from "./scope.ts";

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
 * `value` where every range holds, else `otherwise`. Reads and loops inside `value` get the guard too, so that no memory
 * is read and no loop runs where it fails.
 */
export function scalarGuard(guard: readonly Range[], value: ScalarExpr, otherwise: ScalarExpr): ScalarExpr {
  const open = trimGuard(guard);
  if (open === undefined) return otherwise;
  if (open.length === 0) return value;
  if (value.key === otherwise.key) return value;
  const guarded = (node: ScalarExpr): ScalarExpr => {
    if (node.kind === "read")
      return scalarRead(node.dtype, node.buffer, node.index, joinGuards(node.guard, open), node.fill);
    // On the values that stand in for those not read it might never end.
    if (node.kind === "loop")
      return scalarLoop({ ...node, test: scalarGuard(open, node.test, scalarConst("bool", 0)) }, node.result);
    return node;
  };
  if (value.kind === "read" && value.guard.length === 0 && otherwise.kind === "const") {
    // Its positions may come out of data that is read under the guard only, too.
    const index = value.index.map((at) => substituteIndex(at, noAxes, (e) => rewriteScalar(e, noAxes, guarded)));
    return scalarRead(value.dtype, value.buffer, index, open, otherwise.value);
  }
  const safe = rewriteScalar(value, noAxes, guarded);
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

export interface ScalarLoop {
  readonly loopId: number;
  readonly limit: number;
  readonly init: readonly ScalarExpr[];
  readonly test: ScalarExpr;
  readonly next: readonly ScalarExpr[];
}

/** A carried scalar of the loop numbered `loopId`. */
export function scalarLoopVar(dtype: DType, loopId: number, slot: number): ScalarExpr {
  return intern(`loop${loopId}.${slot}:${dtype}`, (key) => ({ kind: "loopVar", dtype, loopId, slot, key }));
}

/** The number of the loop at a place that text names: the same whenever it is asked for in one compilation. */
export function loopIdOf(place: string): number {
  return intern(`loop at ${place}`, (key) => ({ key, id: nextLoopId() })).id;
}

/** What a loop carries in slot `result` when it ends. */
export function scalarLoop(parts: ScalarLoop, result: number): ScalarExpr {
  const { loopId, limit, init, test, next } = parts;
  const { dtype } = init[result]!;
  if (limit <= 0 || (test.kind === "const" && test.value === 0)) return init[result]!;
  const list = (items: readonly ScalarExpr[]): string => items.map((e) => e.key).join(",");
  const group = intern(`loop${loopId}(${list(init)};${test.key};${list(next)};${limit})`, (key) => ({ key })).key;
  return intern(`${group}.${result}:${dtype}`, (key) => ({
    kind: "loop",
    dtype,
    limit,
    init,
    test,
    next,
    result,
    loopId,
    group,
    key,
  }));
}

const nowhere: readonly number[] = [];
const open = new WeakMap<ScalarExpr, readonly number[]>();

/** The numbers of the loops whose variables a value uses, those that it contains itself left out. */
export function openLoops(node: ScalarExpr): readonly number[] {
  if (node.kind === "loopVar") return [node.loopId];
  let found = open.get(node);
  if (found === undefined) {
    const all = new Set<number>();
    const add = (children: readonly ScalarExpr[], closed?: number): void => {
      for (const child of children) for (const id of openLoops(child)) if (id !== closed) all.add(id);
    };
    if (node.kind === "loop") {
      add(node.init);
      add([node.test, ...node.next], node.loopId);
    } else add(scalarChildren(node));
    found = all.size === 0 ? nowhere : [...all];
    open.set(node, found);
  }
  return found;
}

/**
 * Rebuilds a DAG bottom up (each node once): axes replaced, and `leaf` may replace reads, accs, carries, loop variables
 * and loops after what they consist of was rewritten. Constants fold and guards settle on the way.
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
        const parts = { ...node, init: node.init.map(go), test: go(node.test), next: node.next.map(go) };
        const made = scalarLoop(parts, node.result);
        return made.kind === "loop" ? leaf(made) : made;
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
      return indexData(node.index, node.guard);
    case "index":
      return indexData([node.index], noRanges);
    case "guard":
      return [...indexData([], node.guard), node.value, node.otherwise];
    case "loop":
      return [...node.init, node.test, ...node.next];
    default:
      return [];
  }
}

const noRanges: readonly Range[] = [];

/** The values inside dyn atoms of positions and ranges. */
export function indexData(index: readonly IndexExpr[], guard: readonly Range[]): ScalarExpr[] {
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

/** How many rounds a loop inside a payload is taken to run, where work is estimated. */
export const assumedRounds = 16;

/** Work of a DAG, shared nodes once, in units of one multiplication; what loops repeat counts `assumedRounds` times. */
export function scalarCost(...roots: readonly ScalarExpr[]): number {
  let cost = 0;
  const repeated = new Set<ScalarExpr>();
  const visit = (node: ScalarExpr): void => {
    const again =
      node.kind === "loopVar" ||
      (repeated.size > 0 && node.kind !== "loop" && scalarChildren(node).some((child) => repeated.has(child)));
    if (again) repeated.add(node);
    cost += ownCost(node) * (again ? assumedRounds : 1);
  };
  const seen = new Set<ScalarExpr>();
  for (const root of roots) visitScalar(root, visit, seen);
  return cost;
}

/** Work that a DAG takes to write out: as `scalarCost`, but what loops repeat counts once. */
export function scalarSize(root: ScalarExpr): number {
  let size = 0;
  visitScalar(root, (node) => {
    size += ownCost(node);
  });
  return size;
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
  return node.kind === "op" && isScalarOp(node.op) ? scalarOps[node.op].cost : node.kind === "op" ? 1 : 0;
}
