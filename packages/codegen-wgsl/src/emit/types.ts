/** How types and constants are written in WGSL. Types only of 32 bits: the others do not exist on the device. */
import type { LoopType, ScalarType } from "@sinter/ir";

export type Word = "f32" | "i32" | "u32";

/** Thrown where a kernel cannot run on the device. Whoever knows the graph adds the line. */
export class KernelError extends Error {
  /** Position in `LoopProgram.kernels`, once known. */
  kernel: number | undefined;
}

/** The scalar as the device has it. */
export function deviceScalar(scalar: ScalarType): Word | "bool" {
  if (scalar === "f64" || scalar === "i64")
    throw new KernelError(`${scalar} is not available on webgpu; cast to ${scalar === "f64" ? "f32" : "i32"}`);
  return scalar;
}

/** The type that memory holds for an element: bool is a word, 0 or 1. */
export function storedScalar(scalar: ScalarType): Word {
  const word = deviceScalar(scalar);
  return word === "bool" ? "u32" : word;
}

const vectors = { f32: "vec4f", i32: "vec4i", u32: "vec4u", bool: "vec4<bool>" } as const;

export function typeName(scalar: ScalarType, lanes: number): string {
  const word = deviceScalar(scalar);
  return lanes === 1 ? word : vectors[word];
}

export const typeText = (type: LoopType): string => typeName(type.scalar, type.lanes);

const view = new DataView(new ArrayBuffer(4));

/** The bits of a number as f32. */
export function bitsOfF32(value: number): number {
  view.setFloat32(0, value);
  return view.getUint32(0);
}

/** Whether a float has a literal: not one that is infinite, NaN, -0 or subnormal. */
function hasLiteral(value: number): boolean {
  if (Object.is(value, 0)) return true;
  return Number.isFinite(value) && Math.abs(value) >= 2 ** -126;
}

/** The shortest decimal that reads back as the same f32. */
function decimal(value: number): string {
  for (let digits = 1; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(value);
}

/** A constant of one lane; `bits` names the function that makes a float of its bits. */
export function literal(scalar: ScalarType, value: number, bits: () => string): string {
  switch (deviceScalar(scalar)) {
    case "f32": {
      if (!hasLiteral(value)) return `${bits()}(0x${bitsOfF32(value).toString(16)}u)`;
      const text = decimal(value);
      return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
    }
    case "i32":
      return value === -2147483648 ? "i32(-2147483648)" : value < 0 ? `(${value}i)` : `${value}i`;
    case "u32":
      return `${value}u`;
    default:
      return value === 0 ? "false" : "true";
  }
}
