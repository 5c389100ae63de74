/**
 * Loads and stores of one lane, four lanes, and the first few of four. Partial accesses touch no byte beyond the active
 * lanes, so that the end of a buffer and updates in place stay right. A bool is a byte in memory, and in four lanes a mask.
 */
import type { LoopExpr, LoopPointer, ScalarType } from "@sinter/ir";
import type { Code, OpCode } from "../asm.ts";
import { address } from "./address.ts";
import { type FuncContext, isPair, registerType } from "./context.ts";

type Load = Extract<LoopExpr, { kind: "load" }>;

export function emitLoad(c: FuncContext, e: Load): Code[] {
  const { lanes } = e.type;
  const active = e.active ?? lanes;
  const scalar = e.type.scalar;
  if (active === 0) return emptyLoad(c, e);
  const { base, offset } = address(c, e.pointer, e.index);
  if (lanes === 1) return [c.asm.load(registerType(e.type), base, offset, scalar === "bool" ? 1 : undefined)];
  if (scalar === "bool") return [loadMask(c, base, offset, active)];
  if (scalar !== "f64" && scalar !== "i64") return [loadWords(c, base, offset, active)];
  const ptr = c.temp(base, "i32");
  const half = (first: number): Code => {
    const count = active - first;
    if (count <= 0) return c.splatI32(0);
    return count === 1
      ? c.asm.loadVector("Load64ZeroVec128", ptr(), offset + first * 8)
      : c.asm.load("v128", ptr(), offset + first * 8);
  };
  return [half(0), half(2)];
}

function emptyLoad(c: FuncContext, e: Load): Code[] {
  if (e.type.lanes > 1) return isPair(e.type) ? [c.splatI32(0), c.splatI32(0)] : [c.splatI32(0)];
  const type = registerType(e.type);
  if (type === "f32") return [c.asm.f32(0)];
  if (type === "f64") return [c.asm.f64(0)];
  return [type === "i64" ? c.asm.i64(0n) : c.asm.i32(0)];
}

function loadWords(c: FuncContext, base: Code, offset: number, active: number): Code {
  const { asm } = c;
  if (active === 4) return asm.load("v128", base, offset);
  if (active === 1) return asm.loadVector("Load32ZeroVec128", base, offset);
  if (active === 2) return asm.loadVector("Load64ZeroVec128", base, offset);
  const ptr = c.temp(base, "i32");
  return asm.laneAccess("Load32LaneVec128", ptr(), offset + 8, asm.loadVector("Load64ZeroVec128", ptr(), offset), 2);
}

function loadMask(c: FuncContext, base: Code, offset: number, active: number): Code {
  const { asm } = c;
  let bytes: Code;
  if (active === 4) bytes = asm.loadVector("Load32ZeroVec128", base, offset);
  else {
    const ptr = c.temp(base, "i32");
    bytes = c.splatI32(0);
    for (let i = 0; i < active; i++) bytes = asm.laneAccess("Load8LaneVec128", ptr(), offset + i, bytes, i);
  }
  const words = asm.unary("ExtendLowUVecI16x8ToVecI32x4", asm.unary("ExtendLowUVecI8x16ToVecI16x8", bytes));
  return asm.unary("NegVecI32x4", words);
}

/** A load of one element onto all lanes. */
export function emitSplatLoad(c: FuncContext, e: Load): Code[] {
  const { base, offset } = address(c, e.pointer, e.index);
  if (e.type.scalar === "f64" || e.type.scalar === "i64") {
    const value = c.temp(c.asm.loadVector("Load64SplatVec128", base, offset), "v128");
    return [value(), value()];
  }
  return [c.asm.loadVector("Load32SplatVec128", base, offset)];
}

/** Four loads of one 32-bit element each, as one vector. */
export function emitGather(c: FuncContext, loads: readonly Load[]): Code {
  let vec: Code | undefined;
  for (const [lane, e] of loads.entries()) {
    const { base, offset } = address(c, e.pointer, e.index);
    vec =
      vec === undefined
        ? c.asm.loadVector("Load32ZeroVec128", base, offset)
        : c.asm.laneAccess("Load32LaneVec128", base, offset, vec, lane);
  }
  return vec!;
}

export function emitStore(
  c: FuncContext,
  pointer: LoopPointer,
  index: LoopExpr,
  value: LoopExpr,
  active = value.type.lanes,
): void {
  if (active === 0) return;
  const { scalar, lanes } = value.type;
  // The value first: its statements may be long, and the address is short-lived.
  const codes = c.plain(value);
  const { base, offset } = address(c, pointer, index);
  const { asm } = c;
  if (lanes === 1) {
    c.list.push(asm.store(registerType(value.type), base, offset, codes[0]!, scalar === "bool" ? 1 : undefined));
    return;
  }
  if (scalar === "bool") storeMask(c, base, offset, codes[0]!, active);
  else if (codes.length === 1) storeWords(c, base, offset, codes[0]!, active);
  else {
    // The second half may read what the first one overwrites: both are values before either is stored.
    const halves = codes.map((code) => c.temp(code, "v128"));
    const ptr = c.temp(base, "i32");
    for (const [i, half] of halves.entries()) {
      const count = Math.min(2, active - 2 * i);
      const at = offset + 16 * i;
      if (count === 2) c.list.push(asm.store("v128", ptr(), at, half()));
      if (count === 1) c.list.push(asm.laneAccess("Store64LaneVec128", ptr(), at, half(), 0));
    }
  }
}

function storeWords(c: FuncContext, base: Code, offset: number, vec: Code, active: number): void {
  const { asm } = c;
  if (active === 4) c.list.push(asm.store("v128", base, offset, vec));
  else if (active === 1) c.list.push(asm.laneAccess("Store32LaneVec128", base, offset, vec, 0));
  else if (active === 2) c.list.push(asm.laneAccess("Store64LaneVec128", base, offset, vec, 0));
  else {
    const [value, ptr] = [c.temp(vec, "v128"), c.temp(base, "i32")];
    c.list.push(asm.laneAccess("Store64LaneVec128", ptr(), offset, value(), 0));
    c.list.push(asm.laneAccess("Store32LaneVec128", ptr(), offset + 8, value(), 2));
  }
}

function storeMask(c: FuncContext, base: Code, offset: number, mask: Code, active: number): void {
  const { asm } = c;
  const narrow = (op: OpCode, code: Code): Code => {
    const value = c.temp(code, "v128");
    return c.op(op, value(), value());
  };
  const bytes = narrow("NarrowSVecI16x8ToVecI8x16", narrow("NarrowSVecI32x4ToVecI16x8", mask));
  const ones = c.op("AndVec128", bytes, c.splatI32(0x01010101));
  if (active === 4) c.list.push(asm.laneAccess("Store32LaneVec128", base, offset, ones, 0));
  else {
    const [value, ptr] = [c.temp(ones, "v128"), c.temp(base, "i32")];
    for (let i = 0; i < active; i++) c.list.push(asm.laneAccess("Store8LaneVec128", ptr(), offset + i, value(), i));
  }
}

/** The scalar types whose four lanes are one register of 32-bit lanes in memory too. */
export function isWordScalar(s: ScalarType): boolean {
  return s === "f32" || s === "i32" || s === "u32";
}
