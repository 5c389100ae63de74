// Seeded randomness, random tensors and comparison of tensors, for tests that compare two ways to compute the same.
import {
  allocate,
  closeEnough,
  type DType,
  type HostTensor,
  isFloat,
  type Rng,
  roundTo,
  type SampledOperand,
  staticDim,
  type Tolerance,
  ulpDistance,
} from "../../packages/ir/src/index.ts";

export { type Tolerance, ulpDistance } from "../../packages/ir/src/index.ts";

/** Sizes that a kernel can get wrong: 1, odd ones, a vector, a vector and a rest. */
const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17];
const maxElements = 1500;

/** The same numbers for the same seed, on every machine (splitmix32). */
export function seededRng(seed: number): Rng {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 4294967296;
  };
  const int = (lo: number, hi: number): number => lo + Math.floor(next() * (hi - lo + 1));
  return {
    int,
    real: (lo, hi) => lo + next() * (hi - lo),
    pick: (items) => {
      if (items.length === 0) throw new Error("nothing to pick from");
      return items[int(0, items.length - 1)]!;
    },
    bool: () => next() < 0.5,
    shape: (minRank, maxRank) => {
      const rank = int(minRank, maxRank);
      const shape: number[] = [];
      let elements = 1;
      for (let i = 0; i < rank; i++) {
        const fitting = sizes.filter((s) => s * elements <= maxElements);
        const size = fitting[int(0, fitting.length - 1)]!;
        shape.push(size);
        elements *= size;
      }
      return shape;
    },
  };
}

/** Draws no f64, for what has none. */
export function withoutF64(rng: Rng): Rng {
  return { ...rng, pick: <T>(items: readonly T[]): T => rng.pick(items.filter((item) => item !== "f64")) };
}

/** Contents for an operand as a sampler describes it. */
export function randomTensor(rng: Rng, operand: SampledOperand): HostTensor {
  const { dtype } = operand.type;
  const shape = operand.type.shape.map(staticDim);
  const size = shape.reduce((n, d) => n * d, 1);
  const data = allocate(dtype, size);
  const { lo, hi } = operand;
  if (operand.distinct === true) {
    // Evenly spaced and shuffled: as far apart as the range allows.
    const order = Array.from({ length: size }, (_, i) => i);
    for (let i = size - 1; i > 0; i--) {
      const j = rng.int(0, i);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    const step = isFloat(dtype)
      ? (hi - lo) / Math.max(1, size)
      : Math.max(1, Math.floor((hi - lo) / Math.max(1, size)));
    order.forEach((place, i) => {
      data[i] = roundTo(dtype, lo + place * step);
    });
  } else for (let i = 0; i < size; i++) data[i] = randomElement(rng, dtype, lo, hi, operand.away ?? []);
  return { dtype, shape, data };
}

function randomElement(rng: Rng, dtype: DType, lo: number, hi: number, away: readonly number[]): number {
  if (!isFloat(dtype)) return roundTo(dtype, rng.int(Math.ceil(lo), Math.floor(hi)));
  const distance = Math.min(0.05, (hi - lo) / 50);
  for (let attempt = 0; attempt < 100; attempt++) {
    const x = roundTo(dtype, rng.real(lo, hi));
    if (away.every((point) => Math.abs(x - point) > distance)) return x;
  }
  return hi;
}

/** Where no digit is certain, a number may be none. */
const isWithin = (x: number, y: number, slack: number): boolean =>
  slack === Infinity || (slack > 0 && Math.abs(x - y) <= slack);

/**
 * What differs between two tensors, in words; undefined where they agree. `slack`: how much further than the tolerance
 * each element may be.
 */
export function tensorDifference(
  actual: HostTensor,
  expected: HostTensor,
  tolerance: Tolerance = {},
  slack?: readonly number[],
): string | undefined {
  const [a, e] = [actual, expected];
  const typeOfTensor = (t: HostTensor): string => `${t.dtype}[${t.shape.join(",")}]`;
  if (typeOfTensor(a) !== typeOfTensor(e)) return `is ${typeOfTensor(a)} instead of ${typeOfTensor(e)}`;
  if (a.data.length !== e.data.length) return `has ${a.data.length} elements instead of ${e.data.length}`;
  let wrong = 0;
  let first: string | undefined;
  for (let i = 0; i < e.data.length; i++) {
    const [x, y] = [a.data[i]!, e.data[i]!];
    if (closeEnough(x, y, e.dtype, tolerance) || isWithin(x, y, slack?.[i] ?? 0)) continue;
    wrong++;
    const index: number[] = [];
    for (let rest = i, axis = e.shape.length - 1; axis >= 0; axis--) {
      index.unshift(rest % e.shape[axis]!);
      rest = Math.floor(rest / e.shape[axis]!);
    }
    const text = (v: number): string => (Object.is(v, -0) ? "-0" : String(v));
    first ??= `[${index.join(",")}] is ${text(x)} instead of ${text(y)} (${ulpDistance(x, y, e.dtype)} ulp)`;
  }
  return first === undefined ? undefined : `${wrong} of ${e.data.length} elements differ, first ${first}`;
}

/** As `tensorDifference`, for lists of results. */
export function resultsDifference(
  actual: readonly HostTensor[],
  expected: readonly HostTensor[],
  tolerance: Tolerance = {},
  slack: readonly (readonly number[])[] = [],
): string | undefined {
  if (actual.length !== expected.length) return `${actual.length} results instead of ${expected.length}`;
  for (let i = 0; i < expected.length; i++) {
    const difference = tensorDifference(actual[i]!, expected[i]!, tolerance, slack[i]);
    if (difference !== undefined) return `result ${i}: ${difference}`;
  }
  return undefined;
}
