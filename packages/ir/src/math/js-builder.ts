/**
 * Two builders that need no compiler: one evaluates in JavaScript with the rounding of each type, for constant folding
 * and tests, the other counts operations. The first is exact except that a fused f32 fma may round twice in rare ties.
 */
import type { MathBuilder } from "./builder.ts";

/** A value of a machine type; the tag tells f32 from f64. */
export interface JsValue {
  readonly type: "f32" | "f64" | "i32" | "i64" | "bool";
  readonly value: number | bigint | boolean;
}

const scratch = new DataView(new ArrayBuffer(8));

function float(like: JsValue, value: number): JsValue {
  if (like.type === "f32") return { type: "f32", value: Math.fround(value) };
  if (like.type === "f64") return { type: "f64", value };
  throw new TypeError(`a float is needed, not ${like.type}`);
}

/** Checks that both operands have the type, any float type where it is undefined. */
function same(a: JsValue, b: JsValue, type?: JsValue["type"]): void {
  const fits = a.type === b.type && (type === undefined ? a.type === "f32" || a.type === "f64" : a.type === type);
  if (!fits) throw new TypeError(`operands of types ${a.type} and ${b.type}`);
}

function expect(a: JsValue, type: JsValue["type"]): void {
  if (a.type !== type) throw new TypeError(`${type} is needed, not ${a.type}`);
}

const num = (a: JsValue): number => a.value as number;
const big = (a: JsValue): bigint => a.value as bigint;
const is = (a: JsValue): boolean => a.value as boolean;
const bool = (value: boolean): JsValue => ({ type: "bool", value });
const i32 = (value: number): JsValue => ({ type: "i32", value: value | 0 });
const i64 = (value: bigint): JsValue => ({ type: "i64", value: BigInt.asIntN(64, value) });

/** Nearest integer, ties to even, with the sign of the operand. */
function nearest(x: number): number {
  if (!(Math.abs(x) < 2 ** 52)) return x;
  const rounded = x < 0 || Object.is(x, -0) ? x - 2 ** 52 + 2 ** 52 : x + 2 ** 52 - 2 ** 52;
  return rounded === 0 ? (x < 0 || Object.is(x, -0) ? -0 : 0) : rounded;
}

/** a b + c in f64 with one rounding, by Dekker's product and Knuth's sum; near overflow and underflow with two. */
function fused(a: number, b: number, c: number): number {
  const product = a * b;
  const plain = product + c;
  const size = Math.abs(product);
  const safe = size > 1e-250 && size < 1e290 && Math.abs(a) < 1e290 && Math.abs(b) < 1e290 && Math.abs(c) < 1e290;
  if (!safe) return plain;
  const [aHi, bHi] = [leading(a), leading(b)];
  const [aLo, bLo] = [a - aHi, b - bHi];
  const error = aLo * bLo - (product - aHi * bHi - aLo * bHi - aHi * bLo);
  const part = plain - product;
  return plain + (product - (plain - part) + (c - part) + error);
}

function leading(x: number): number {
  const scaled = x * 134217729;
  return scaled - (scaled - x);
}

/** A builder that evaluates; `oneRounding` makes fma fused. */
export function jsBuilder(oneRounding: boolean): MathBuilder<JsValue> {
  const binary = (f: (a: number, b: number) => number) => (a: JsValue, b: JsValue) => {
    same(a, b);
    return float(a, f(num(a), num(b)));
  };
  const unary = (f: (a: number) => number) => (a: JsValue) => float(a, f(num(a)));
  const compare = (f: (a: number, b: number) => boolean) => (a: JsValue, b: JsValue) => {
    same(a, b);
    return bool(f(num(a), num(b)));
  };
  const int = (f: (a: number, b: number) => number) => (a: JsValue, b: JsValue) => {
    same(a, b, "i32");
    return i32(f(num(a), num(b)));
  };
  const intCompare = (f: (a: number, b: number) => boolean) => (a: JsValue, b: JsValue) => {
    same(a, b, "i32");
    return bool(f(num(a), num(b)));
  };
  const long = (f: (a: bigint, b: bigint) => bigint) => (a: JsValue, b: JsValue) => {
    same(a, b, "i64");
    return i64(f(big(a), big(b)));
  };
  const shift = (f: (a: number, bits: number) => number) => (a: JsValue, bits: number) => {
    expect(a, "i32");
    return i32(f(num(a), bits));
  };
  const longShift = (f: (a: bigint, bits: bigint) => bigint) => (a: JsValue, bits: number) => {
    expect(a, "i64");
    return i64(f(BigInt.asUintN(64, big(a)), BigInt(bits)));
  };
  const mask = (f: (a: boolean, b: boolean) => boolean) => (a: JsValue, b: JsValue) => {
    same(a, b, "bool");
    return bool(f(is(a), is(b)));
  };
  const choose = (m: JsValue, a: JsValue, b: JsValue): JsValue => {
    expect(m, "bool");
    same(a, b, a.type);
    return is(m) ? a : b;
  };
  return {
    f32: (value) => ({ type: "f32", value: Math.fround(value) }),
    f64: (value) => ({ type: "f64", value }),
    i32,
    i64,
    add: binary((a, b) => a + b),
    sub: binary((a, b) => a - b),
    mul: binary((a, b) => a * b),
    div: binary((a, b) => a / b),
    pmin: binary((a, b) => (b < a ? b : a)),
    pmax: binary((a, b) => (a < b ? b : a)),
    neg: unary((a) => -a),
    abs: unary(Math.abs),
    sqrt: unary(Math.sqrt),
    floor: unary(Math.floor),
    trunc: unary(Math.trunc),
    nearest: unary(nearest),
    fma: (a, b, c) => {
      same(a, b);
      same(b, c);
      // An f32 product is exact in f64.
      if (!oneRounding) return float(c, num(float(a, num(a) * num(b))) + num(c));
      return float(c, a.type === "f32" ? num(a) * num(b) + num(c) : fused(num(a), num(b), num(c)));
    },
    iadd: int((a, b) => a + b),
    isub: int((a, b) => a - b),
    iand: int((a, b) => a & b),
    ior: int((a, b) => a | b),
    ixor: int((a, b) => a ^ b),
    ishl: shift((a, bits) => a << bits),
    ishrU: shift((a, bits) => a >>> bits),
    ishrS: shift((a, bits) => a >> bits),
    ladd: long((a, b) => a + b),
    lsub: long((a, b) => a - b),
    land: long((a, b) => a & b),
    lor: long((a, b) => a | b),
    lxor: long((a, b) => a ^ b),
    lshl: longShift((a, bits) => a << bits),
    lshrU: longShift((a, bits) => a >> bits),
    lt: compare((a, b) => a < b),
    le: compare((a, b) => a <= b),
    gt: compare((a, b) => a > b),
    ge: compare((a, b) => a >= b),
    eq: compare((a, b) => a === b),
    ne: compare((a, b) => a !== b),
    ilt: intCompare((a, b) => a < b),
    igt: intCompare((a, b) => a > b),
    ieq: intCompare((a, b) => a === b),
    igeU: intCompare((a, b) => a >>> 0 >= b >>> 0),
    leq: (a, b) => {
      same(a, b, "i64");
      return bool(big(a) === big(b));
    },
    and: mask((a, b) => a && b),
    or: mask((a, b) => a || b),
    not: (a) => {
      expect(a, "bool");
      return bool(!is(a));
    },
    select: choose,
    i32ToF32: (a) => {
      expect(a, "i32");
      return { type: "f32", value: Math.fround(num(a)) };
    },
    promote: (a) => {
      expect(a, "f32");
      return { type: "f64", value: num(a) };
    },
    demote: (a) => {
      expect(a, "f64");
      return { type: "f32", value: Math.fround(num(a)) };
    },
    bitsF32: (a) => {
      expect(a, "f32");
      scratch.setFloat32(0, num(a));
      return i32(scratch.getInt32(0));
    },
    fromBitsF32: (a) => {
      expect(a, "i32");
      scratch.setInt32(0, num(a));
      return { type: "f32", value: scratch.getFloat32(0) };
    },
    bitsF64: (a) => {
      expect(a, "f64");
      scratch.setFloat64(0, num(a));
      return i64(scratch.getBigInt64(0));
    },
    fromBitsF64: (a) => {
      expect(a, "i64");
      scratch.setBigInt64(0, big(a));
      return { type: "f64", value: scratch.getFloat64(0) };
    },
    rarely: (m, fast, slow) => (is(m) ? slow() : fast),
  };
}

/** The value of a function at the given arguments, in JavaScript. */
export function evaluateMath(
  f: (b: MathBuilder<JsValue>, ...args: JsValue[]) => JsValue,
  type: "f32" | "f64",
  args: readonly number[],
  oneRounding = false,
): number {
  const builder = jsBuilder(oneRounding);
  return num(f(builder, ...args.map((value) => builder[type](value))));
}

/** How many operations a function takes. */
export interface OpCount {
  /** Operations that always run; constants and casts to bits are free. */
  readonly always: number;
  /** Divisions and square roots among them. */
  readonly divisions: number;
  /** Operations under `rarely`. */
  readonly rarely: number;
}

/** Counts the operations of a function of `arity` arguments. */
export function countOps(f: (b: MathBuilder<null>, ...args: null[]) => null, arity: number): OpCount {
  const count = { always: 0, divisions: 0, rarely: 0 };
  let depth = 0;
  const step = (): null => {
    count[depth === 0 ? "always" : "rarely"]++;
    return null;
  };
  const division = (): null => {
    if (depth === 0) count.divisions++;
    return step();
  };
  const free = (): null => null;
  const builder: MathBuilder<null> = {
    ...{ f32: free, f64: free, i32: free, i64: free },
    ...{ bitsF32: free, fromBitsF32: free, bitsF64: free, fromBitsF64: free },
    ...{ div: division, sqrt: division },
    ...{ add: step, sub: step, mul: step, pmin: step, pmax: step, neg: step, abs: step },
    ...{ floor: step, trunc: step, nearest: step, fma: step },
    ...{ iadd: step, isub: step, iand: step, ior: step, ixor: step, ishl: step, ishrU: step, ishrS: step },
    ...{ ladd: step, lsub: step, land: step, lor: step, lxor: step, lshl: step, lshrU: step },
    ...{ lt: step, le: step, gt: step, ge: step, eq: step, ne: step },
    ...{ ilt: step, igt: step, ieq: step, igeU: step, leq: step },
    ...{ and: step, or: step, not: step, select: step, i32ToF32: step, promote: step, demote: step },
    rarely: (_mask, _fast, slow) => {
      step();
      depth++;
      slow();
      depth--;
      return null;
    },
  };
  f(builder, ...Array.from({ length: arity }, () => null));
  return count;
}
