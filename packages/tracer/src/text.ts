/** Tensors as nested arrays and as text. */
import { type DType, elementsText, type TypedArray } from "@sinter/ir";
import { describe } from "./errors.ts";

export type Nested = number | boolean | Nested[];

/** Row-major data as nested arrays. */
export function nest(data: TypedArray, shape: readonly number[], dtype: DType): Nested {
  let at = 0;
  const build = (axis: number): Nested => {
    if (axis === shape.length) {
      const value = data[at++]!;
      return dtype === "bool" ? value !== 0 : value;
    }
    return Array.from({ length: shape[axis]! }, () => build(axis + 1));
  };
  return build(0);
}

/** `f32[2,3] [[1, 2, 3], [4, 5, 6]]`; more than a thousand elements show the ends of each axis only. */
export function tensorText(data: TypedArray, shape: readonly number[], dtype: DType): string {
  const head = `${describe({ dtype, shape })} `;
  return head + elementsText({ data, shape, dtype }, " ".repeat(head.length));
}
