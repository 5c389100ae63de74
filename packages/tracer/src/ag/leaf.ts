/**
 * Numbers and booleans that became tensors, because staged control flow changes them: which handles these are, and what
 * type values have that meet. Their type is weak: it gives way to that of a tensor, and of i32 and f32 it is f32.
 */
import { castValue, type Dim, type DType, isFloat, promote } from "@sinter/ir";
import { sameDims } from "../dims.ts";
import { inFrame, type TraceFrame, VariableCell } from "../frame.ts";
import { cast, filled, readVariable, scalar } from "../kit.ts";
import type { Ref, Traced } from "../lazy.ts";
import { Tensor } from "../tensor.ts";
import { isWeak, markWeak } from "../weak.ts";

/** What can become a value of the program. */
export type Leaf = Tensor | VariableCell | number | boolean;

export interface LeafType {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  /** It comes from numbers or booleans only. */
  readonly weak: boolean;
}

/** A handle on a value; a weak one where it stands for a number. */
export function handle(ref: Ref, weak: boolean): Tensor {
  const tensor = new Tensor(ref);
  if (weak) markWeak(tensor);
  return tensor;
}

export function isLeaf(value: unknown): value is Leaf {
  return (
    typeof value === "number" || typeof value === "boolean" || value instanceof Tensor || value instanceof VariableCell
  );
}

/** Whole numbers are i32 where they fit, others f32; -0 is not whole. */
export function numberType(value: number): DType {
  return Object.is(value | 0, value) ? "i32" : "f32";
}

export function typeOfLeaf(value: Leaf): LeafType {
  if (typeof value === "number") return { dtype: numberType(value), shape: [], weak: true };
  if (typeof value === "boolean") return { dtype: "bool", shape: [], weak: true };
  const shape = value instanceof Tensor ? value.dims : value.shape;
  return { dtype: value.dtype, shape, weak: value instanceof Tensor && isWeak(value) };
}

/** The type that holds both; undefined where there is none. */
export function joinTypes(a: LeafType, b: LeafType): LeafType | undefined {
  if (!sameDims(a.shape, b.shape)) return undefined;
  const weak = a.weak && b.weak;
  if (a.dtype === b.dtype) return a.weak === weak ? a : b;
  if (a.dtype === "bool" || b.dtype === "bool" || !(a.weak || b.weak)) return undefined;
  const { shape } = a;
  if (weak) return { dtype: promote(a.dtype, b.dtype), shape, weak };
  const [strong, other] = a.weak ? [b, a] : [a, b];
  // A number never decides how wide a float is, and a whole one never makes a float of an integer.
  const dtype = isFloat(strong.dtype) || !isFloat(other.dtype) ? strong.dtype : "f32";
  return { dtype, shape, weak: false };
}

/** A leaf as a value of `frame`, of a type it joins to. */
export function leafIn(frame: TraceFrame, value: Leaf, type: LeafType): Traced {
  return inFrame(frame, () => {
    const { dtype } = type;
    if (typeof value === "number") return frame.scalar(dtype, castValue("f64", dtype, value));
    if (typeof value === "boolean") return frame.scalar(dtype, value ? 1 : 0);
    const ref = value instanceof Tensor ? value.ref("a staged value") : readVariable(value);
    return frame.lift(cast(ref, dtype));
  });
}

/** What stands for a value that is never read. */
export function zerosIn(frame: TraceFrame, { dtype, shape }: LeafType): Traced {
  return inFrame(frame, () => frame.lift(filled(scalar(dtype, 0), shape)));
}
