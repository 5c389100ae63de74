/**
 * The codes of the instructions that are made by name, under Binaryen's names, and of those that have a method of their
 * own. A code is the byte of an instruction, or for SIMD its number behind the prefix byte plus `vectorBase`.
 */
import type { OpCode } from "../asm.ts";

/** Added to the numbers of instructions behind the SIMD prefix. */
export const vectorBase = 0x1000;

/** Codes of names that follow each other without a gap; `_` skips one that is not used. */
function run(first: number, names: string): [string, number][] {
  return names.split(" ").flatMap((name, i): [string, number][] => (name === "_" ? [] : [[name, first + i]]));
}
const vector = (first: number, names: string): [string, number][] => run(vectorBase + first, names);

const codes: ReadonlyMap<string, number> = new Map([
  ...run(0x45, "EqZInt32 EqInt32 NeInt32 LtSInt32 LtUInt32 GtSInt32 GtUInt32 LeSInt32 LeUInt32 GeSInt32 GeUInt32"),
  ...run(0x50, "EqZInt64 EqInt64 NeInt64 LtSInt64 LtUInt64 GtSInt64 GtUInt64 LeSInt64 LeUInt64 GeSInt64 GeUInt64"),
  ...run(0x5b, "EqFloat32 NeFloat32 LtFloat32 GtFloat32 LeFloat32 GeFloat32"),
  ...run(0x61, "EqFloat64 NeFloat64 LtFloat64 GtFloat64 LeFloat64 GeFloat64"),
  ...run(0x67, "ClzInt32 CtzInt32 PopcntInt32 AddInt32 SubInt32 MulInt32 DivSInt32 DivUInt32 RemSInt32 RemUInt32"),
  ...run(0x71, "AndInt32 OrInt32 XorInt32 ShlInt32 ShrSInt32 ShrUInt32 RotLInt32 RotRInt32"),
  ...run(0x79, "ClzInt64 CtzInt64 PopcntInt64 AddInt64 SubInt64 MulInt64 DivSInt64 DivUInt64 RemSInt64 RemUInt64"),
  ...run(0x83, "AndInt64 OrInt64 XorInt64 ShlInt64 ShrSInt64 ShrUInt64 RotLInt64 RotRInt64"),
  ...run(0x8b, "AbsFloat32 NegFloat32 CeilFloat32 FloorFloat32 TruncFloat32 NearestFloat32 SqrtFloat32"),
  ...run(0x92, "AddFloat32 SubFloat32 MulFloat32 DivFloat32 MinFloat32 MaxFloat32 CopySignFloat32"),
  ...run(0x99, "AbsFloat64 NegFloat64 CeilFloat64 FloorFloat64 TruncFloat64 NearestFloat64 SqrtFloat64"),
  ...run(0xa0, "AddFloat64 SubFloat64 MulFloat64 DivFloat64 MinFloat64 MaxFloat64 CopySignFloat64"),
  ...run(0xa7, "WrapInt64 TruncSFloat32ToInt32 TruncUFloat32ToInt32 TruncSFloat64ToInt32 TruncUFloat64ToInt32"),
  ...run(0xac, "ExtendSInt32 ExtendUInt32"),
  ...run(0xb2, "ConvertSInt32ToFloat32 ConvertUInt32ToFloat32 ConvertSInt64ToFloat32 ConvertUInt64ToFloat32"),
  ...run(0xb6, "DemoteFloat64 ConvertSInt32ToFloat64 ConvertUInt32ToFloat64 ConvertSInt64ToFloat64"),
  ...run(0xba, "ConvertUInt64ToFloat64 PromoteFloat32 ReinterpretFloat32 ReinterpretFloat64 ReinterpretInt32"),
  ...run(0xbf, "ReinterpretInt64"),
  // Behind the prefix 0xfc, which is part of the code here: one byte follows it.
  ...run(0xfc00, "TruncSatSFloat32ToInt32 TruncSatUFloat32ToInt32 TruncSatSFloat64ToInt32 TruncSatUFloat64ToInt32"),
  ...vector(0x07, "Load8SplatVec128 Load16SplatVec128 Load32SplatVec128 Load64SplatVec128"),
  ...vector(0x0f, "SplatVecI8x16 SplatVecI16x8 SplatVecI32x4 SplatVecI64x2 SplatVecF32x4 SplatVecF64x2"),
  ...vector(0x1b, "ExtractLaneVecI32x4 ReplaceLaneVecI32x4 ExtractLaneVecI64x2 ReplaceLaneVecI64x2"),
  ...vector(0x1f, "ExtractLaneVecF32x4 ReplaceLaneVecF32x4 ExtractLaneVecF64x2 ReplaceLaneVecF64x2"),
  ...vector(0x37, "EqVecI32x4 NeVecI32x4 LtSVecI32x4 LtUVecI32x4 GtSVecI32x4 GtUVecI32x4"),
  ...vector(0x3d, "LeSVecI32x4 LeUVecI32x4 GeSVecI32x4 GeUVecI32x4"),
  ...vector(0x41, "EqVecF32x4 NeVecF32x4 LtVecF32x4 GtVecF32x4 LeVecF32x4 GeVecF32x4"),
  ...vector(0x47, "EqVecF64x2 NeVecF64x2 LtVecF64x2 GtVecF64x2 LeVecF64x2 GeVecF64x2"),
  ...vector(0x4d, "NotVec128 AndVec128 AndNotVec128 OrVec128 XorVec128 BitselectVec128 AnyTrueVec128"),
  ...vector(0x54, "Load8LaneVec128 Load16LaneVec128 Load32LaneVec128 Load64LaneVec128"),
  ...vector(0x58, "Store8LaneVec128 Store16LaneVec128 Store32LaneVec128 Store64LaneVec128"),
  ...vector(0x5c, "Load32ZeroVec128 Load64ZeroVec128 DemoteZeroVecF64x2ToVecF32x4 PromoteLowVecF32x4ToVecF64x2"),
  ...vector(0x65, "NarrowSVecI16x8ToVecI8x16 NarrowUVecI16x8ToVecI8x16 CeilVecF32x4 FloorVecF32x4 TruncVecF32x4"),
  ...vector(0x6a, "NearestVecF32x4"),
  ...vector(0x74, "CeilVecF64x2 FloorVecF64x2 _ _ _ _ TruncVecF64x2"),
  ...vector(0x85, "NarrowSVecI32x4ToVecI16x8 NarrowUVecI32x4ToVecI16x8 ExtendLowSVecI8x16ToVecI16x8"),
  ...vector(0x88, "ExtendHighSVecI8x16ToVecI16x8 ExtendLowUVecI8x16ToVecI16x8 ExtendHighUVecI8x16ToVecI16x8"),
  ...vector(0x94, "NearestVecF64x2"),
  ...vector(0xa0, "AbsVecI32x4 NegVecI32x4 _ AllTrueVecI32x4 BitmaskVecI32x4 _ _ ExtendLowSVecI16x8ToVecI32x4"),
  ...vector(0xa8, "ExtendHighSVecI16x8ToVecI32x4 ExtendLowUVecI16x8ToVecI32x4 ExtendHighUVecI16x8ToVecI32x4"),
  ...vector(0xab, "ShlVecI32x4 ShrSVecI32x4 ShrUVecI32x4 AddVecI32x4 _ _ SubVecI32x4 _ _ _ MulVecI32x4"),
  ...vector(0xb6, "MinSVecI32x4 MinUVecI32x4 MaxSVecI32x4 MaxUVecI32x4"),
  ...vector(0xc0, "AbsVecI64x2 NegVecI64x2"),
  ...vector(0xc7, "ExtendLowSVecI32x4ToVecI64x2 ExtendHighSVecI32x4ToVecI64x2 ExtendLowUVecI32x4ToVecI64x2"),
  ...vector(0xca, "ExtendHighUVecI32x4ToVecI64x2 ShlVecI64x2 ShrSVecI64x2 ShrUVecI64x2 AddVecI64x2"),
  ...vector(0xd1, "SubVecI64x2 _ _ _ MulVecI64x2 EqVecI64x2 NeVecI64x2 LtSVecI64x2 GtSVecI64x2 LeSVecI64x2"),
  ...vector(0xdb, "GeSVecI64x2 ExtMulLowSVecI64x2 ExtMulHighSVecI64x2 ExtMulLowUVecI64x2 ExtMulHighUVecI64x2"),
  ...vector(0xe0, "AbsVecF32x4 NegVecF32x4 _ SqrtVecF32x4 AddVecF32x4 SubVecF32x4 MulVecF32x4 DivVecF32x4"),
  ...vector(0xe8, "MinVecF32x4 MaxVecF32x4 PMinVecF32x4 PMaxVecF32x4"),
  ...vector(0xec, "AbsVecF64x2 NegVecF64x2 _ SqrtVecF64x2 AddVecF64x2 SubVecF64x2 MulVecF64x2 DivVecF64x2"),
  ...vector(0xf4, "MinVecF64x2 MaxVecF64x2 PMinVecF64x2 PMaxVecF64x2"),
  ...vector(0xf8, "TruncSatSVecF32x4ToVecI32x4 TruncSatUVecF32x4ToVecI32x4 ConvertSVecI32x4ToVecF32x4"),
  ...vector(0xfb, "ConvertUVecI32x4ToVecF32x4 TruncSatZeroSVecF64x2ToVecI32x4 TruncSatZeroUVecF64x2ToVecI32x4"),
  ...vector(0xfe, "ConvertLowSVecI32x4ToVecF64x2 ConvertLowUVecI32x4ToVecF64x2"),
  ...vector(0x105, "RelaxedMaddVecF32x4 RelaxedNmaddVecF32x4 RelaxedMaddVecF64x2 RelaxedNmaddVecF64x2"),
]);

/** The code of an instruction. */
export function codeOf(name: OpCode): number {
  const code = codes.get(name);
  if (code === undefined) throw new Error(`instruction ${name} has no code here`);
  return code;
}

/** The names that have codes. */
export const encodedNames = (): readonly string[] => [...codes.keys()];
