/** Tensors as text, as `print` and `toString` show them. */
import type { HostValue } from "./host-call.ts";

const edge = 3;
const longest = 1000;

/**
 * `[[1, 2, 3], [4, 5, 6]]`, a line for each row; more than a thousand elements show the ends of each axis only. `indent`
 * stands before all lines but the first.
 */
export function elementsText({ data, shape, dtype }: HostValue, indent = ""): string {
  const cut = data.length > longest;
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((n, d) => n * d, 1));
  const one = (value: number): string => {
    if (dtype === "bool") return value !== 0 ? "true" : "false";
    if (Object.is(value, -0)) return "-0";
    return dtype === "f32" ? String(Number(value.toPrecision(7))) : String(value);
  };
  const build = (axis: number, offset: number, before: string): string => {
    if (axis === shape.length) return one(data[offset]!);
    const count = shape[axis]!;
    const items: string[] = [];
    for (let i = 0; i < count; i++) {
      if (cut && count > 2 * edge && i === edge) {
        items.push("...");
        i = count - edge;
      }
      items.push(build(axis + 1, offset + i * strides[axis]!, `${before} `));
    }
    const inner = axis === shape.length - 1;
    return `[${items.join(inner ? ", " : `,\n${before} `)}]`;
  };
  return build(0, 0, indent);
}

/** What `print` shows: the pieces of its format with the values between them. */
export function printedText(format: readonly string[], values: readonly HostValue[]): string {
  return format.map((piece, i) => (i === 0 ? piece : elementsText(values[i - 1]!) + piece)).join("");
}
