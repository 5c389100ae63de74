/** Descriptions of tensors without contents: what signatures and `lower` take. */
import type { Dim, DType } from "@sinter/ir";
import { dimText } from "./dims.ts";
import { describeValue, ShapeError } from "./errors.ts";
import { checkDType } from "./kit.ts";

/**
 * A size of a description: a number; null or a name where a program takes any size, of which equal names are equal; or
 * one out of `x.dims`.
 */
export type SpecSize = string | null | Dim;

export function sizeText(size: SpecSize): string {
  return size === null ? "?" : typeof size === "string" ? size : dimText(size);
}

/** Shape and dtype of an argument. One program runs for all sizes of an axis that is null or a name. */
export class Spec {
  readonly shape: readonly SpecSize[];
  readonly dtype: DType;

  constructor(shape: readonly SpecSize[], dtype: DType) {
    this.shape = shape;
    this.dtype = dtype;
  }

  toString(): string {
    return `${this.dtype}[${this.shape.map(sizeText).join(",")}]`;
  }
}

/** `spec([32, 784])` describes an f32[32,784], `spec(["batch", 784])` one of any number of rows. */
export function spec(shape: readonly (number | string | null)[], dtype: DType = "f32"): Spec {
  if (!Array.isArray(shape)) throw new ShapeError(`spec: shape must be an array of sizes, not ${describeValue(shape)}`);
  shape.forEach((size: unknown, i) => {
    const fits =
      typeof size === "string" ? /^[A-Za-z_][A-Za-z0-9_]*$/.test(size) : Number.isInteger(size) && Number(size) >= 0;
    if (size !== null && !fits)
      throw new ShapeError(`spec: shape[${i}] must be a size, a name or null, not ${describeValue(size)}`);
  });
  return new Spec([...shape], checkDType("spec", dtype));
}
