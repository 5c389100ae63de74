/**
 * Accuracy of the transcendental functions, in JavaScript: maximum error against f64 (for f32) or against BigInt
 * fixed-point sums and Math (for f64), special values, and that none depends on whether fma rounds once.
 */
import { describe, expect, test } from "vitest";
import {
  countOps,
  evaluateMath,
  type MathName,
  mathF32,
  mathF64,
  mathUlp,
  type UnaryMathName,
} from "../src/math/index.ts";
import { erf } from "../src/math/reference.ts";

const full = process.env["SINTER_FULL"] === "1";

/** In f64, accurate to about an ulp of f64. */
const reference: Record<UnaryMathName, (x: number) => number> = {
  exp: Math.exp,
  exp2: (x) => 2 ** x,
  expm1: Math.expm1,
  logistic: (x) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x))),
  log: Math.log,
  log2: Math.log2,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  erf,
  rsqrt: (x) => 1 / Math.sqrt(x),
};
const unaryNames = Object.keys(reference) as UnaryMathName[];

const words = new DataView(new ArrayBuffer(8));
function floatOfBits(bits: number): number {
  words.setUint32(0, bits);
  return words.getFloat32(0);
}

/** The distance from `exact` in units of the last place of the type, with the grid going on beyond the largest number. */
function ulpError(got: number, exact: number, type: "f32" | "f64"): number {
  const [digits, least, most] = type === "f32" ? [24, -149, 2 ** 128] : [53, -1074, Infinity];
  const rounded = type === "f32" ? Math.fround(exact) : exact;
  if (Object.is(got, rounded)) return 0;
  if (Number.isNaN(got) || Number.isNaN(rounded) || Math.sign(got) * Math.sign(rounded) < 0) return Infinity;
  if (got === 0 && rounded === 0) return Infinity;
  const clip = (x: number): number => Math.max(-most, Math.min(most, x));
  const magnitude = Math.min(Math.abs(exact), type === "f32" ? 2 ** 127 : 2 ** 1023);
  const exponent = magnitude === 0 ? least : Math.max(Math.floor(Math.log2(magnitude)) - digits + 1, least);
  if (type === "f64" && !(Number.isFinite(got) && Number.isFinite(exact))) {
    return Math.abs(got) + Math.abs(exact) === Infinity && Math.min(Math.abs(got), Math.abs(exact)) > 1.79769313486e308
      ? 0
      : Infinity;
  }
  return Math.abs(clip(got) - clip(exact)) / 2 ** exponent;
}

/** Every exponent and sign, with few-bit mantissas and pseudo-random ones. */
function* allExponents(perExponent: number): Generator<number> {
  let seed = 0x2545f491;
  for (let high = 0; high < 512; high++) {
    for (let i = 0; i < perExponent; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const mantissa = i < 4 ? [0, 1, 0x7fffff, 0x400000][i]! : seed >>> 9;
      yield floatOfBits(((high << 23) | mantissa) >>> 0);
    }
  }
}

/** Points around each threshold of the algorithms, and around multiples of pi/2. */
function* hardCases(): Generator<number> {
  const thresholds = [
    0,
    2 ** -24,
    2 ** -12,
    1 / 3,
    0.35,
    0.5,
    2 / 3,
    0.75,
    1,
    4 / 3,
    1.5,
    2,
    3.92,
    3.95,
    9.01,
    10,
    17.33,
    30,
    87.34,
    88.37,
    88.72284,
    89,
    89.41599,
    103.28,
    103.97,
    104,
    126,
    127,
    128,
    149,
    150,
    6000,
    6433,
    2 ** 24,
    2 ** 26,
    3.4e38,
  ];
  for (const center of thresholds) for (const x of neighbours(center, 6)) yield* [x, -x];
  for (let n = 1; n < 4000; n = n < 200 ? n + 1 : Math.ceil(n * 1.03)) {
    for (const x of neighbours((n * Math.PI) / 2, 1)) yield* [x, -x];
  }
  for (let e = 12; e < 128; e++) for (const x of neighbours(2 ** e * 1.2345678, 2)) yield* [x, -x];
  // The f32 closest to a multiple of pi/2 relative to its size, among others that are known to be hard.
  yield* [16367173 * 2 ** 72, 1.6e6, 1e6, 1e10, 7.8539816e8, 2 ** 60, 5.0706024e30].map(Math.fround);
}

function* neighbours(center: number, count: number): Generator<number> {
  words.setFloat32(0, center);
  const bits = words.getUint32(0);
  for (let i = -count; i <= count; i++) if (bits + i >= 0) yield floatOfBits(bits + i);
}

/** Uniform where the functions bend. */
function* ranges(count: number): Generator<number> {
  for (const limit of [1, 4, 12, 110]) {
    for (let i = 0; i < count; i++) yield Math.fround(((i + 0.37) / count) * 2 * limit - limit);
  }
}

interface Worst {
  readonly error: number;
  readonly at: number;
}

function worst(
  name: UnaryMathName,
  type: "f32" | "f64",
  inputs: Iterable<number>,
  exactly: (x: number) => number = reference[name],
): Worst {
  const f = (type === "f32" ? mathF32 : mathF64)[name];
  let result: Worst = { error: 0, at: 0 };
  for (const x of inputs) {
    const exact = exactly(x);
    for (const oneRounding of [false, true]) {
      const error = ulpError(evaluateMath(f, type, [x], oneRounding), exact, type);
      if (error > result.error) result = { error, at: x };
    }
  }
  return result;
}

describe("f32 accuracy over the whole domain", () => {
  for (const name of unaryNames) {
    test(name, () => {
      for (const inputs of [allExponents(full ? 400 : 12), hardCases(), ranges(full ? 100000 : 1000)]) {
        const { error, at } = worst(name, "f32", inputs);
        expect(error, `${name}(${at})`).toBeLessThanOrEqual(mathUlp[name].f32);
      }
    });
  }
});

/** f64 arguments of all sizes. */
function* wide(count: number): Generator<number> {
  let seed = 12345;
  const next = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32 + (Math.imul(seed, 69069) >>> 0) / 2 ** 64;
  };
  for (let i = 0; i < count; i++) {
    const x = next() * 2 - 1;
    yield* [x, x * 6, x * 40, x * 760, x * 1e5, x * 2 ** (Math.floor(next() * 2046) - 1022)];
  }
  yield* [0, -0, 5e-324, -5e-324, 1, -1, 0.5, Infinity, -Infinity, NaN, 1.7976931348623157e308, 1e22, 1647100];
  yield* [
    709.78,
    710.47,
    -745.13,
    -745.14,
    0.84375,
    1.25,
    2 ** -54,
    2 ** -1022,
    0.9999999999999999,
    1.0000000000000002,
  ];
}

describe("f64 accuracy", () => {
  for (const name of unaryNames) {
    test(name, () => {
      // The reference is itself an ulp or two off: V8's functions are ports of fdlibm.
      const { error, at } = worst(name, "f64", wide(full ? 5000 : 150), name === "erf" ? exactErf : reference[name]);
      expect(error, `${name}(${at})`).toBeLessThanOrEqual(mathUlp[name].f64 + 2);
    });
  }
});

/** Fixed-point arithmetic with BigInt: for the references that Math does not have, or not to an ulp. */
const BITS = 1300n;
const ONE = 1n << BITS;

function toFixed(x: number): bigint {
  words.setFloat64(0, Math.abs(x));
  const raw = words.getBigUint64(0);
  const shift = BITS + (raw >> 52n) - 1075n;
  const significand = (raw & 0xfffffffffffffn) | 0x10000000000000n;
  const magnitude = shift >= 0n ? significand << shift : significand >> -shift;
  return x < 0 ? -magnitude : magnitude;
}

/** Correct to a little more than half an ulp, for values from 2^-1000 to 1 or so. */
function fromFixed(x: bigint): number {
  const drop = BigInt(Math.max(0, x.toString(2).length - 64));
  return (Number(x >> drop) * 2 ** Number(drop - 600n)) / 2 ** Number(BITS - 600n);
}

const PI = ((): bigint => {
  // Machin's formula.
  const arctanInverse = (n: bigint): bigint => {
    let power = ONE / n;
    let sum = power;
    for (let k = 3n, sign = -1n; power !== 0n; k += 2n, sign = -sign) {
      power /= n * n;
      sum += (sign * power) / k;
    }
    return sum;
  };
  return 4n * (4n * arctanInverse(5n) - arctanInverse(239n));
})();

/** sin(x + quarter pi/2). */
function exactSine(x: number, quarter: bigint): number {
  const turned = toFixed(x) + (quarter * PI) / 2n;
  const n = turned / PI + (turned < 0n ? -1n : 0n);
  let r = turned - n * PI;
  if (2n * r > PI) r = PI - r;
  const square = (r * r) >> BITS;
  let sum = r;
  for (let term = r, k = 2n; term !== 0n; k += 2n) {
    term = -((term * square) / ONE) / (k * (k + 1n));
    sum += term;
  }
  return n % 2n === 0n ? fromFixed(sum) : -fromFixed(sum);
}

/** erf(x) by its Maclaurin series, for |x| >= 2^-30. */
function exactErf(x: number): number {
  if (!(Math.abs(x) >= 2 ** -30)) return x * (2 / Math.sqrt(Math.PI));
  if (Math.abs(x) > 6) return Math.sign(x);
  const bits = 500n;
  const fixed = toFixed(x) >> (BITS - bits);
  const square = (fixed * fixed) >> bits;
  let sum = fixed;
  for (let term = fixed, n = 1n; term !== 0n; n++) {
    term = -((term * square) / (1n << bits)) / n;
    sum += term / (2n * n + 1n);
  }
  // By sqrt(pi) in Newton's iteration.
  const pi = PI >> (BITS - bits);
  let root = 1n << bits;
  for (let i = 0; i < 12; i++) root = (root + (pi << bits) / root) / 2n;
  return fromFixed(((2n * sum) << BITS) / root);
}

describe("f64 trigonometry against BigInt", () => {
  test("sin and cos, also for huge arguments and near multiples of pi/2", () => {
    const inputs = [1, 0.1, 3.14, 100, 1e5, 1647098.5, 1647101, 1e10, 1e22, 2 ** 1023, 1.7976931348623157e308];
    // The f64 nearest to a multiple of pi/2 (Muller, Elementary Functions, 2006), and multiples of pi/2.
    inputs.push(6381956970095103 * 2 ** 797, 5.319372648326541e255);
    for (let n = 1; n < 1e12; n = Math.ceil(n * 2.7)) inputs.push((n * Math.PI) / 2);
    for (let e = 20; e < 1024; e += 17) inputs.push(1.2345678901234567 * 2 ** e);
    for (const x of inputs.flatMap((x) => [x, -x])) {
      for (const oneRounding of [false, true]) {
        const s = evaluateMath(mathF64.sin, "f64", [x], oneRounding);
        const c = evaluateMath(mathF64.cos, "f64", [x], oneRounding);
        expect(ulpError(s, exactSine(x, 0n), "f64"), `sin(${x})`).toBeLessThanOrEqual(1);
        expect(ulpError(c, exactSine(x, 1n), "f64"), `cos(${x})`).toBeLessThanOrEqual(1);
      }
    }
  });
});

describe("pow and atan2", () => {
  const edge = [0, 1, 2, 3, 0.5, 1.5, Infinity, 2 ** -149, 3.4e38, 16777215, 16777216, 0.99999994, 1e-20];
  const values = [...edge.flatMap((x) => [Math.fround(x), -Math.fround(x)]), NaN];
  /** As C99 has it: Math.pow is NaN where the base is 1 or -1 and the exponent infinite, or 1 and NaN. */
  const pow = (x: number, y: number): number => (x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y);
  const cases: readonly [MathName & ("pow" | "atan2"), (x: number, y: number) => number][] = [
    ["pow", pow],
    ["atan2", Math.atan2],
  ];
  for (const [name, exact] of cases) {
    test(`${name} of special values`, () => {
      for (const type of ["f32", "f64"] as const) {
        const f = (type === "f32" ? mathF32 : mathF64)[name];
        for (const x of values) {
          for (const y of values) {
            const error = ulpError(evaluateMath(f, type, [x, y]), exact(x, y), type);
            expect(error, `${type} ${name}(${x}, ${y})`).toBeLessThanOrEqual(mathUlp[name][type] + 1);
          }
        }
      }
    });
    test(`${name} accuracy`, () => {
      let seed = 99;
      const next = (): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
      for (let i = 0; i < (full ? 200000 : 4000); i++) {
        const x = Math.fround(i % 2 === 0 ? next() * 3 : 2 ** (next() * 298 - 149));
        const y = Math.fround(
          i % 3 === 0 ? Math.round(next() * 40 - 20) : ((next() * 300 - 150) * Math.LN2) / Math.log(x),
        );
        const sign = i % 5 === 0 ? -1 : 1;
        const oneRounding = i % 7 < 3;
        const got = evaluateMath(mathF32[name], "f32", [sign * x, y], oneRounding);
        expect(ulpError(got, exact(sign * x, y), "f32"), `${name}(${sign * x}, ${y})`).toBeLessThanOrEqual(
          mathUlp[name].f32,
        );
        const wideGot = evaluateMath(mathF64[name], "f64", [sign * x, y], oneRounding);
        expect(ulpError(wideGot, exact(sign * x, y), "f64"), `${name}(${sign * x}, ${y})`).toBeLessThanOrEqual(
          mathUlp[name].f64 + 2,
        );
      }
    });
  }
});

test("values that programs take for granted", () => {
  for (const [table, type] of [[mathF32, "f32"] as const, [mathF64, "f64"] as const]) {
    for (const oneRounding of [false, true]) {
      const at = (name: UnaryMathName, x: number): number => evaluateMath(table[name], type, [x], oneRounding);
      const odd: UnaryMathName[] = ["sin", "tan", "asin", "atan", "sinh", "tanh", "erf", "expm1", "log1p"];
      for (const name of odd) for (const zero of [0, -0]) expect(at(name, zero), name).toBe(zero);
      for (const name of ["exp", "exp2", "cos", "cosh"] as const) expect(at(name, 0), name).toBe(1);
      expect([at("log", 1), at("log2", 8), at("exp2", -3), at("logistic", 0), at("acos", 1)]).toEqual([
        0, 3, 0.125, 0.5, 0,
      ]);
      for (const x of [3.9, 5, 8, 9, 20, 1e5, Infinity]) {
        for (const name of ["tanh", "erf"] as const) {
          expect(at(name, x)).toBeLessThanOrEqual(1);
          expect(at(name, -x)).toBe(-at(name, x));
        }
      }
      expect(at("tanh", 30)).toBe(1);
      expect(at("exp", -Infinity)).toBe(0);
    }
  }
});

test("the hot functions stay short", () => {
  const most: Partial<Record<UnaryMathName, number>> = {
    exp: 16,
    logistic: 17,
    tanh: 18,
    log: 19,
    sin: 19,
    cos: 19,
    erf: 25,
  };
  for (const [name, limit] of Object.entries(most)) {
    expect(countOps(mathF32[name as UnaryMathName], 1).always, name).toBeLessThanOrEqual(limit);
  }
});
