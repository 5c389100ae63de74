/** Tensors as nested arrays and as text. */
import type { DType, TypedArray } from "@sinter/ir";
import { sizeOf } from "./lazy.ts";

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

const edge = 3;
const longest = 1000;

/** `f32[2,3] [[1, 2, 3], [4, 5, 6]]`; more than a thousand elements show the ends of each axis only. */
export function tensorText(data: TypedArray, shape: readonly number[], dtype: DType): string {
  const cut = data.length > longest;
  const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)));
  const one = (value: number): string => {
    if (dtype === "bool") return value !== 0 ? "true" : "false";
    if (Object.is(value, -0)) return "-0";
    return dtype === "f32" ? String(Number(value.toPrecision(7))) : String(value);
  };
  const build = (axis: number, offset: number, indent: string): string => {
    if (axis === shape.length) return one(data[offset]!);
    const count = shape[axis]!;
    const items: string[] = [];
    for (let i = 0; i < count; i++) {
      if (cut && count > 2 * edge && i === edge) {
        items.push("...");
        i = count - edge;
      }
      items.push(build(axis + 1, offset + i * strides[axis]!, `${indent} `));
    }
    const inner = axis === shape.length - 1;
    return `[${items.join(inner ? ", " : `,\n${indent} `)}]`;
  };
  const head = `${dtype}[${shape.join(",")}] `;
  return head + build(0, 0, " ".repeat(head.length));
}
