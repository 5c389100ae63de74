/** Tensors in a few words, for errors: type, range, and how many elements are no numbers. */
import { type HostTensor, isFloat } from "@sinter/ir";
import { describe } from "../errors.ts";

/** Up to so many elements are listed. */
const listed = 6;

/** `f32[32,10] from -4.1 to 0.98, 3 NaN` */
export function summary(tensor: HostTensor): string {
  const { dtype, shape, data } = tensor;
  const type = describe(tensor);
  if (data.length === 0) return `${type}, no elements`;
  if (shape.length === 0) return `${type} = ${numberText(data[0]!)}`;
  if (data.length <= listed) return `${type} = [${Array.from(data, numberText).join(", ")}]`;
  if (dtype === "bool") return `${type}, ${Array.from(data).filter((x) => x !== 0).length} of ${data.length} true`;
  const counts = { NaN: 0, Infinity: 0, "-Infinity": 0 };
  let [least, most] = [Infinity, -Infinity];
  for (const x of data) {
    if (Number.isFinite(x)) [least, most] = [Math.min(least, x), Math.max(most, x)];
    else counts[String(x) as keyof typeof counts]++;
  }
  const range = least <= most ? ` from ${numberText(least)} to ${numberText(most)}` : "";
  const special = Object.entries(counts).flatMap(([name, n]) => (n > 0 ? [`${n} ${name}`] : []));
  if (!isFloat(dtype)) return `${type}${range}`;
  return `${type}${range}${special.length > 0 ? `, ${special.join(", ")}` : ""}`;
}

/** Six digits, and all of whole numbers that are not too long. */
export function numberText(x: number): string {
  if (Object.is(x, -0)) return "-0";
  const whole = Number.isInteger(x) && Math.abs(x) < 1e9;
  return whole || !Number.isFinite(x) ? String(x) : String(Number(x.toPrecision(6)));
}

/** The position of an element by its row-major offset. */
export function positionOf(shape: readonly number[], offset: number): number[] {
  const index: number[] = [];
  for (let rest = offset, axis = shape.length - 1; axis >= 0; axis--) {
    index.unshift(rest % shape[axis]!);
    rest = Math.floor(rest / shape[axis]!);
  }
  return index;
}
