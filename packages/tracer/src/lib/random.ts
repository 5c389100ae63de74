/**
 * Random numbers from keys: threefry2x32 by counter, bit for bit what JAX makes (partitionable, its default), the same on
 * every backend. A key is u32[2] and is used once: split it for more.
 */
import { type Dim, type DType, isFloat } from "@sinter/ir";
import { DTypeError, describeValue, ShapeError, SinterError } from "../errors.ts";
import {
  add,
  axisOf,
  cast,
  checkDType,
  checkShape,
  describe,
  emit,
  filled,
  host,
  iota,
  like,
  make,
  makeAll,
  mul,
  promoteArgs,
  reshape,
  scalar,
  select,
  stretch,
  sub,
  toArg,
  toFloat,
  toRef,
} from "../kit.ts";
import { type Ref, sizeOf } from "../lazy.ts";
import type { Tensor, TensorLike } from "../tensor.ts";

function keyRef(caller: string, value: TensorLike): Ref {
  const ref = toRef(caller, "key", value);
  if (ref.dtype !== "u32" || ref.shape.length !== 1 || ref.shape[0] !== 2)
    throw new DTypeError(`${caller}: key must be a key, u32[2], as random.key(seed) makes them, not ${describe(ref)}`);
  return ref;
}

/** A key from a whole number. */
export function key(seed: number): Tensor {
  return make("random.key", key, () => {
    if (typeof seed !== "number" || !Number.isSafeInteger(seed))
      throw new SinterError(`random.key: seed must be a whole number, not ${describeValue(seed)}`);
    const high = Math.floor(seed / 2 ** 32) >>> 0;
    return host({ dtype: "u32", shape: [2], data: new Uint32Array([high, seed >>> 0]) });
  });
}

/** New keys from one that is not used again: an array of `count`. */
export function split(from: TensorLike, count = 2): Tensor[] {
  return makeAll("random.split", split, () => {
    const [size] = checkShape("random.split", [count], "count") as [number];
    const keys = emit("threefry", [keyRef("random.split", from), iota("u32", [size], 0)]);
    return Array.from({ length: size }, (_, i) =>
      reshape(emit("slice", [keys], { start: [i, 0], limit: [i + 1, 2], step: [1, 1] }), [2]),
    );
  });
}

/** A key that depends on a key and a number, for instance a step. */
export function foldIn(from: TensorLike, data: TensorLike): Tensor {
  return make("random.foldIn", foldIn, () => {
    const number = toRef("random.foldIn", "data", data);
    if (number.shape.length > 0) throw new ShapeError(`random.foldIn: data must be a scalar, not ${describe(number)}`);
    return emit("threefry", [keyRef("random.foldIn", from), cast(number, "u32")]);
  });
}

/** Uniform 32-bit words, u32. */
export function bits(from: TensorLike, shape: Dim | readonly Dim[] = []): Tensor {
  return make("random.bits", bits, () => bitsOf(keyRef("random.bits", from), checkShape("random.bits", shape)));
}

function bitsOf(from: Ref, shape: readonly Dim[]): Ref {
  return emit("randomBits", [from], { shape });
}

function floatType(caller: string, dtype: unknown): DType {
  const checked = checkDType(caller, dtype);
  if (!isFloat(checked)) throw new DTypeError(`${caller}: dtype must be f32 or f64, not ${checked}`);
  return checked;
}

/** Uniform in [0, 1) with 23 bits: the mantissa is filled, so that all values are equally spaced. */
function unit(from: Ref, shape: readonly Dim[], dtype: DType): Ref {
  const mantissa = emit("or", [emit("shr", [bitsOf(from, shape), scalar("u32", 9)]), scalar("u32", 0x3f800000)]);
  return cast(sub(emit("bitcast", [mantissa], { dtype: "f32" }), scalar("f32", 1)), dtype);
}

function uniformOf(from: Ref, shape: readonly Dim[], low: Ref, high: Ref): Ref {
  const spread = mul(unit(from, shape, low.dtype), sub(high, low));
  return emit("max", [add(spread, low), low]);
}

function limit(caller: string, name: string, value: TensorLike, dtype: DType, shape: readonly Dim[]): Ref {
  const arg = toArg(caller, name, value);
  const ref = typeof arg === "number" ? promoteArgs([like({ dtype } as Ref, 0), arg])[1]! : cast(arg, dtype);
  return ref.shape.length === 0 ? ref : stretch(ref, shape);
}

/** Uniform in [low, high). Floats only; low and high may be tensors that broadcast to the shape. */
export function uniform(
  from: TensorLike,
  shape: Dim | readonly Dim[] = [],
  low: TensorLike = 0,
  high: TensorLike = 1,
  dtype: DType = "f32",
): Tensor {
  return make("random.uniform", uniform, () => {
    const name = "random.uniform";
    const [sizes, type] = [checkShape(name, shape), floatType(name, dtype)];
    return uniformOf(
      keyRef(name, from),
      sizes,
      limit(name, "low", low, type, sizes),
      limit(name, "high", high, type, sizes),
    );
  });
}

/** Normal with mean 0 and standard deviation 1. */
export function normal(from: TensorLike, shape: Dim | readonly Dim[] = [], dtype: DType = "f32"): Tensor {
  return make("random.normal", normal, () => {
    const [sizes, type] = [checkShape("random.normal", shape), floatType("random.normal", dtype)];
    const u = uniformOf(keyRef("random.normal", from), sizes, scalar("f32", -0.99999994), scalar("f32", 1));
    return cast(mul(scalar("f32", Math.SQRT2), inverseErf(u)), type);
  });
}

/** Normal, limited to low..high by drawing from that part of the distribution. */
export function truncatedNormal(
  from: TensorLike,
  low: number,
  high: number,
  shape: Dim | readonly Dim[] = [],
  dtype: DType = "f32",
): Tensor {
  return make("random.truncatedNormal", truncatedNormal, () => {
    const name = "random.truncatedNormal";
    const [sizes, type] = [checkShape(name, shape), floatType(name, dtype)];
    if (!(low < high)) throw new SinterError(`${name}: low must be less than high, not ${low} and ${high}`);
    const edge = (x: number): Ref => emit("erf", [scalar("f32", x / Math.SQRT2)]);
    const u = uniformOf(keyRef(name, from), sizes, edge(low), edge(high));
    const raw = mul(scalar("f32", Math.SQRT2), inverseErf(u));
    return cast(emit("min", [emit("max", [raw, scalar("f32", low)]), scalar("f32", high)]), type);
  });
}

/** true with probability p (0.5), which may be a tensor; the shape is p's unless given. */
export function bernoulli(from: TensorLike, p: TensorLike = 0.5, shape?: Dim | readonly Dim[]): Tensor {
  return make("random.bernoulli", bernoulli, () => {
    const name = "random.bernoulli";
    const chance = cast(toFloat(toRef(name, "p", p)), "f32");
    const sizes = shape === undefined ? chance.shape : checkShape(name, shape);
    const fitted = chance.shape.length === 0 ? chance : stretch(chance, sizes);
    return emit("lt", [unit(keyRef(name, from), sizes, "f32"), fitted]);
  });
}

/** Standard Gumbel noise: -log(-log(u)). */
export function gumbel(from: TensorLike, shape: Dim | readonly Dim[] = []): Tensor {
  return make("random.gumbel", gumbel, () =>
    gumbelOf(keyRef("random.gumbel", from), checkShape("random.gumbel", shape)),
  );
}

function gumbelOf(from: Ref, shape: readonly Dim[]): Ref {
  const smallest = scalar("f32", 1.1754943508222875e-38);
  const inner = emit("neg", [emit("log", [uniformOf(from, shape, smallest, scalar("f32", 1))])]);
  return emit("neg", [emit("log", [inner])]);
}

/** Positions drawn with probabilities softmax(logits) along an axis; i32, in the shape without that axis. */
export function categorical(from: TensorLike, logits: TensorLike, axis = -1): Tensor {
  return make("random.categorical", categorical, () => {
    const name = "random.categorical";
    const ref = toFloat(toRef(name, "logits", logits));
    const at = axisOf(name, axis, ref.shape.length);
    const noise = cast(gumbelOf(keyRef(name, from), ref.shape), ref.dtype);
    return emit("argReduce", [add(ref, noise)], { op: "max", axis: at });
  });
}

/** Whole numbers in [low, high), i32. Slightly uneven where high - low is not a power of two, by less than 2^-16. */
export function integers(from: TensorLike, low: number, high: number, shape: Dim | readonly Dim[] = []): Tensor {
  return make("random.integers", integers, () => {
    const name = "random.integers";
    const sizes = checkShape(name, shape);
    if (!Number.isInteger(low) || !Number.isInteger(high) || high <= low || high - low > 2 ** 31)
      throw new SinterError(`${name}: low and high must be whole numbers with low < high, not ${low} and ${high}`);
    const span = scalar("u32", high - low);
    const words = bitsOf(keyRef(name, from), [2, ...sizes]);
    const word = (i: number): Ref =>
      reshape(
        emit("slice", [words], {
          start: [i, ...sizes.map(() => 0)],
          limit: [i + 1, ...sizes],
          step: [1, ...sizes.map(() => 1)],
        }),
        sizes,
      );
    // 64 bits modulo the span, so that the unevenness stays far below what a sample can show.
    const factor = emit("rem", [scalar("u32", 0x10000), span]);
    const lift = emit("rem", [mul(factor, factor), span]);
    const mixed = add(mul(emit("rem", [word(0), span]), lift), emit("rem", [word(1), span]));
    return add(cast(emit("rem", [mixed, span]), "i32"), scalar("i32", low));
  });
}

/**
 * Inverse error function in f32, by the two polynomials of M. Giles ("Approximating the erfinv function", 2012), the same
 * that XLA uses.
 */
function inverseErf(x: Ref): Ref {
  const w = emit("neg", [emit("log1p", [emit("neg", [mul(x, x)])])]);
  const near = [
    2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
  ];
  const far = [
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
  ];
  const small = emit("lt", [w, scalar("f32", 5)]);
  const shifted = select(small, sub(w, scalar("f32", 2.5)), sub(emit("sqrt", [w]), scalar("f32", 3)));
  let p: Ref | undefined;
  near.forEach((a, i) => {
    const pick = select(small, spread(a, x), spread(far[i]!, x));
    p = p === undefined ? pick : add(pick, mul(p, shifted));
  });
  const ends = emit("eq", [emit("abs", [x]), scalar("f32", 1)]);
  return select(ends, mul(x, spread(Infinity, x)), mul(p!, x));
}

function spread(value: number, over: Ref): Ref {
  return filled(scalar("f32", value), over.shape);
}

/** Rows (along the first axis) in a random order. Takes time and no memory quadratic in their number. */
export function permutation(from: TensorLike, x: TensorLike): Tensor {
  return make("random.permutation", permutation, () => {
    const name = "random.permutation";
    const ref = typeof x === "number" ? iota("i32", checkShape(name, [x], "x"), 0) : toRef(name, "x", x);
    if (ref.shape.length === 0) throw new ShapeError(`${name}: x must have at least one axis`);
    const count = ref.shape[0]!;
    const words = bitsOf(keyRef(name, from), [count]);
    // Each row's place is the number of rows with a smaller word (the earlier first where words are equal).
    const shape = [count, count];
    const mine = emit("broadcast", [words], { shape, dims: [0] });
    const other = emit("broadcast", [words], { shape, dims: [1] });
    const earlier = emit("and", [
      emit("eq", [other, mine]),
      emit("lt", [iota("i32", shape, 1), iota("i32", shape, 0)]),
    ]);
    const before = cast(emit("or", [emit("lt", [other, mine]), earlier]), "i32");
    const place = emit("reduce", [before], { op: "add", axes: [1] });
    if (sizeOf(ref.shape) === 0) return ref;
    return emit("scatter", [ref, ref, place], { axes: [0], combine: "set" });
  });
}
