// Random instances of ops, from the registry's samplers: the op alone in a graph, with arguments. No op has code here.
import {
  type Attrs,
  allocate,
  Builder,
  type DType,
  type Graph,
  type HostTensor,
  isFloat,
  type OpDef,
  type Rng,
  type SampledOperand,
  type TensorType,
  type TypedArray,
} from "@sinter/ir";
import { randomTensor } from "../../../../test/support/random.ts";

export interface Instance {
  readonly graph: Graph;
  readonly args: readonly HostTensor[];
}

/** An instance of an op; `float` replaces f32, so that finite differences have digits. Undefined where no type fits. */
export function instanceOf(op: OpDef, rng: Rng, float: DType): Instance | undefined {
  const sampled = op.sample(rng);
  const swap = (dtype: DType): DType => (dtype === "f32" ? float : dtype);
  const operands = sampled.operands.map(
    (operand): SampledOperand => ({
      ...operand,
      type: { ...operand.type, dtype: swap(operand.type.dtype) },
    }),
  );
  const attrs: Record<string, Attrs[string]> = { ...sampled.attrs };
  for (const [name, kind] of Object.entries(op.attrs)) if (kind === "dtype") attrs[name] = swap(attrs[name] as DType);
  if (ArrayBuffer.isView(attrs["data"]) && attrs["data"] instanceof Float32Array && float === "f64")
    attrs["data"] = new Float64Array(attrs["data"]);
  // Raw, so that the op under test is not folded into another one.
  const b = new Builder(op.name, { raw: true });
  const params = operands.map((operand, i) => b.param("arg", operand.type, `x${i}`));
  try {
    const results = b.emitAll(op.name, params, attrs);
    return {
      graph: b.finish(results.map((value) => ({ kind: "out", value }))),
      args: operands.map((operand, i) => apart(randomTensor(rng, operand), operand, i)),
    };
  } catch (error) {
    if (error instanceof Error && error.name === "TypeRuleError" && float !== "f32") return undefined;
    throw error;
  }
}

/** Distinct operands come from one grid each: moved a little, one operand's values differ from another's as well. */
function apart(x: HostTensor, operand: SampledOperand, position: number): HostTensor {
  if (operand.distinct !== true || !isFloat(x.dtype)) return x;
  for (let i = 0; i < x.data.length; i++) x.data[i]! -= 0.00317 * position;
  return x;
}

/** Random values around zero: tangents and cotangents. */
export function randomLike(type: TensorType | HostTensor, rng: Rng): HostTensor {
  const shape = type.shape.map(Number);
  const data = allocate(type.dtype, sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = rng.real(-1, 1);
  return { dtype: type.dtype, shape, data };
}

/** x + factor * t */
export function moved(x: HostTensor, t: HostTensor | null, factor: number): HostTensor {
  if (t === null) return x;
  const data = x.data.slice() as TypedArray;
  for (let i = 0; i < data.length; i++) data[i] = x.data[i]! + factor * t.data[i]!;
  return { ...x, data };
}

/** Sum over all pairs of the products of their elements. */
export function inner(a: readonly (HostTensor | null)[], b: readonly (HostTensor | null)[]): number {
  let sum = 0;
  a.forEach((x, i) => {
    const y = b[i] ?? null;
    if (x !== null && y !== null) for (let k = 0; k < x.data.length; k++) sum += x.data[k]! * y.data[k]!;
  });
  return sum;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((n, size) => n * size, 1);
}
