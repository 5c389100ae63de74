// Random instances of ops, from the registry's samplers: the op alone in a graph, with arguments. No op has code here.
import {
  type Attrs,
  allocate,
  Builder,
  type DType,
  type Graph,
  type HostTensor,
  isFloat,
  isInteger,
  type OpDef,
  type Rng,
  type SampledOperand,
  type TensorType,
  type TypedArray,
} from "@sinter/ir";

/** Seeded randomness (mulberry32). Shapes are small: what is tested here is rules, not loops. */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (lo: number, hi: number): number => lo + Math.floor(next() * (hi - lo + 1));
  return {
    int,
    real: (lo, hi) => lo + next() * (hi - lo),
    pick: (items) => items[int(0, items.length - 1)]!,
    bool: () => next() < 0.5,
    shape: (minRank, maxRank) => {
      const rank = int(minRank, maxRank);
      return Array.from({ length: rank }, () => [1, 2, 3, 4, 5][int(0, rank > 2 ? 2 : 4)]!);
    },
  };
}

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
      args: operands.map((operand) => sampleTensor(operand, rng)),
    };
  } catch (error) {
    if (error instanceof Error && error.name === "TypeRuleError" && float !== "f32") return undefined;
    throw error;
  }
}

/** How far values keep from points where an op is not smooth, and distinct values from each other at least. */
const distance = 0.02;

export function sampleTensor(operand: SampledOperand, rng: Rng): HostTensor {
  const { dtype } = operand.type;
  const shape = operand.type.shape.map(Number);
  const data = allocate(dtype, sizeOf(shape));
  const { lo, hi } = operand;
  for (let i = 0; i < data.length; i++) {
    if (!isFloat(dtype)) data[i] = isInteger(dtype) ? rng.int(lo, hi) : rng.int(0, 1);
    else {
      do data[i] = rng.real(lo, hi);
      while (operand.away?.some((point) => Math.abs(data[i]! - point) < distance));
    }
  }
  if (operand.distinct === true && isFloat(dtype)) {
    const step = (hi - lo) / Math.max(1, data.length);
    const order = Array.from(data.keys());
    for (let i = order.length - 1; i > 0; i--) {
      const j = rng.int(0, i);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    for (let i = 0; i < data.length; i++) data[i] = lo + (order[i]! + 0.5) * step;
  }
  return { dtype, shape, data };
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
