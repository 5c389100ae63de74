/** Conversions between scalar types, one lane and four. */
import type { LoopType, ScalarType } from "@sinter/ir";
import type { Code, OpCode } from "../asm.ts";
import { type FuncContext, registerType } from "./context.ts";

type Word = "i32" | "u32" | "bool";
const isWord = (s: ScalarType): s is Word => s === "i32" || s === "u32" || s === "bool";

/** By value, as `castValue` of the IR does. */
export function emitCast(c: FuncContext, codes: readonly Code[], from: LoopType, to: ScalarType): Code[] {
  if (from.scalar === to) return [...codes];
  if (from.scalar === "i64" || to === "i64") throw new Error(`no cast from ${from.scalar} to ${to}`);
  return from.lanes === 1 ? [castLane(c, codes[0]!, from.scalar, to)] : castVector(c, codes, from.scalar, to);
}

function castLane(c: FuncContext, x: Code, from: Exclude<ScalarType, "i64">, to: Exclude<ScalarType, "i64">): Code {
  if (isWord(from)) {
    if (to === "bool") return c.op("NeInt32", x, c.asm.i32(0));
    if (to === "f32" || to === "f64") {
      const sign = from === "u32" ? "U" : "S";
      return c.asm.unary(`Convert${sign}Int32ToFloat${to === "f32" ? "32" : "64"}`, x);
    }
    return x;
  }
  const width = from === "f32" ? "32" : "64";
  if (to === "bool") return c.op(`NeFloat${width}`, x, from === "f32" ? c.asm.f32(0) : c.asm.f64(0));
  if (to === "f32") return c.asm.unary("DemoteFloat64", x);
  if (to === "f64") return c.asm.unary("PromoteFloat32", x);
  return c.asm.unary(`TruncSat${to === "u32" ? "U" : "S"}Float${width}ToInt32`, x);
}

function castVector(
  c: FuncContext,
  codes: readonly Code[],
  from: Exclude<ScalarType, "i64">,
  to: Exclude<ScalarType, "i64">,
): Code[] {
  const { asm } = c;
  if (from === "bool") {
    // A mask selects the bits of one.
    if (to === "f64") return c.wideMask(codes).map((half) => c.op("AndVec128", half, c.splatF64(1)));
    return [c.op("AndVec128", c.narrowMask(codes), to === "f32" ? c.splatF32(1) : c.splatI32(1))];
  }
  if (from === "f64") {
    if (to === "bool") return codes.map((half) => c.op("NeVecF64x2", half, c.splatF64(0)));
    const op: OpCode =
      to === "f32"
        ? "DemoteZeroVecF64x2ToVecF32x4"
        : to === "i32"
          ? "TruncSatZeroSVecF64x2ToVecI32x4"
          : "TruncSatZeroUVecF64x2ToVecI32x4";
    return [asm.shuffle(asm.unary(op, codes[0]!), asm.unary(op, codes[1]!), [0, 1, 4, 5])];
  }
  const x = codes[0]!;
  if (to === "f64") {
    const op: OpCode =
      from === "f32"
        ? "PromoteLowVecF32x4ToVecF64x2"
        : from === "i32"
          ? "ConvertLowSVecI32x4ToVecF64x2"
          : "ConvertLowUVecI32x4ToVecF64x2";
    const value = c.temp(x, "v128");
    return [asm.unary(op, value()), asm.unary(op, asm.shuffle(value(), value(), [2, 3, 2, 3]))];
  }
  if (to === "bool") return [c.op(from === "f32" ? "NeVecF32x4" : "NeVecI32x4", x, c.splatI32(0))];
  if (from === "f32") return [asm.unary(`TruncSat${to === "u32" ? "U" : "S"}VecF32x4ToVecI32x4`, x)];
  if (to === "f32") return [asm.unary(`Convert${from === "u32" ? "U" : "S"}VecI32x4ToVecF32x4`, x)];
  return [x];
}

/** The same bits; vectors and words need no instruction. */
export function emitBitcast(c: FuncContext, codes: readonly Code[], from: LoopType, to: ScalarType): Code[] {
  if (from.lanes > 1) return [...codes];
  const target = registerType({ scalar: to, lanes: 1 });
  if (registerType(from) === target) return [...codes];
  const op: OpCode =
    from.scalar === "f32"
      ? "ReinterpretFloat32"
      : from.scalar === "f64"
        ? "ReinterpretFloat64"
        : target === "f32"
          ? "ReinterpretInt32"
          : "ReinterpretInt64";
  return [c.asm.unary(op, codes[0]!)];
}
