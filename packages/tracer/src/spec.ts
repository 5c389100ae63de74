/** Descriptions of tensors without contents: what signatures and `lower` take. */
import type { DType } from "@sinter/ir";
import { describeValue, ShapeError } from "./errors.ts";
import { checkDType } from "./kit.ts";

/** Shape and dtype of an argument. A null size matches any; each size met is traced on its own. */
export class Spec {
  readonly shape: readonly (number | null)[];
  readonly dtype: DType;

  constructor(shape: readonly (number | null)[], dtype: DType) {
    this.shape = shape;
    this.dtype = dtype;
  }

  toString(): string {
    return `${this.dtype}[${this.shape.map((d) => d ?? "?").join(",")}]`;
  }
}

/** `spec([32, 784])` describes an f32[32,784]. */
export function spec(shape: readonly (number | null)[], dtype: DType = "f32"): Spec {
  if (!Array.isArray(shape)) throw new ShapeError(`spec: shape must be an array of sizes, not ${describeValue(shape)}`);
  shape.forEach((size, i) => {
    if (size !== null && !(Number.isInteger(size) && size >= 0))
      throw new ShapeError(`spec: shape[${i}] must be a size or null, not ${describeValue(size)}`);
  });
  return new Spec([...shape], checkDType("spec", dtype));
}
