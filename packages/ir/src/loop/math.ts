/** The math library's builder over Loop IR: expands exp, sin, ... into machine operations of any number of lanes. */
import type { ScalarType } from "../dtype.ts";
import type { MathBuilder } from "../math/builder.ts";
import * as loop from "./build.ts";
import type { LoopExpr } from "./loop.ts";

type E = LoopExpr;
const builders = new Map<number, MathBuilder<E>>();

/** The builder whose constants have this many lanes. */
export function mathBuilder(lanes: number): MathBuilder<E> {
  let found = builders.get(lanes);
  if (found === undefined) builders.set(lanes, (found = create(lanes)));
  return found;
}

function create(lanes: number): MathBuilder<E> {
  const { op } = loop;
  const constant =
    (scalar: ScalarType) =>
    (value: number | bigint): E =>
      loop.constant(scalar, value, lanes);
  const f32 = constant("f32");
  const f64 = constant("f64");
  const i32 = constant("i32");
  const i64 = constant("i64");
  return {
    f32,
    f64,
    i32,
    i64,
    add: (a, b) => op("add", a, b),
    sub: (a, b) => op("sub", a, b),
    mul: (a, b) => op("mul", a, b),
    div: (a, b) => op("div", a, b),
    pmin: (a, b) => op("pmin", a, b),
    pmax: (a, b) => op("pmax", a, b),
    neg: (a) => op("neg", a),
    abs: (a) => op("abs", a),
    sqrt: (a) => op("sqrt", a),
    floor: (a) => op("floor", a),
    trunc: (a) => op("trunc", a),
    nearest: (a) => op("round", a),
    fma: (a, b, c) => op("fma", a, b, c),
    iadd: (a, b) => op("add", a, b),
    isub: (a, b) => op("sub", a, b),
    iand: (a, b) => op("and", a, b),
    ior: (a, b) => op("or", a, b),
    ixor: (a, b) => op("xor", a, b),
    ishl: (a, bits) => op("shl", a, i32(bits)),
    ishrU: (a, bits) => op("shrU", a, i32(bits)),
    ishrS: (a, bits) => op("shr", a, i32(bits)),
    ladd: (a, b) => op("add", a, b),
    lsub: (a, b) => op("sub", a, b),
    land: (a, b) => op("and", a, b),
    lor: (a, b) => op("or", a, b),
    lxor: (a, b) => op("xor", a, b),
    lshl: (a, bits) => op("shl", a, i64(BigInt(bits))),
    lshrU: (a, bits) => op("shrU", a, i64(BigInt(bits))),
    lt: (a, b) => op("lt", a, b),
    le: (a, b) => op("le", a, b),
    gt: (a, b) => op("gt", a, b),
    ge: (a, b) => op("ge", a, b),
    eq: (a, b) => op("eq", a, b),
    ne: (a, b) => op("ne", a, b),
    ilt: (a, b) => op("lt", a, b),
    igt: (a, b) => op("gt", a, b),
    ieq: (a, b) => op("eq", a, b),
    igeU: (a, b) => op("geU", a, b),
    leq: (a, b) => op("eq", a, b),
    and: (a, b) => op("and", a, b),
    or: (a, b) => op("or", a, b),
    not: (a) => op("not", a),
    select: (mask, a, b) => op("select", mask, a, b),
    i32ToF32: (a) => loop.cast(a, "f32"),
    promote: (a) => loop.cast(a, "f64"),
    demote: (a) => loop.cast(a, "f32"),
    bitsF32: (a) => loop.bitcast(a, "i32"),
    fromBitsF32: (a) => loop.bitcast(a, "f32"),
    bitsF64: (a) => loop.bitcast(a, "i64"),
    fromBitsF64: (a) => loop.bitcast(a, "f64"),
    rarely: (mask, fast, slow) => op("rarely", mask, fast, slow()),
  };
}
