/**
 * Initialisers: the first values of variables, from a key. Fans are counted as in Keras: of [..., inputs, outputs] the last
 * two axes, times the positions of a kernel before them.
 */
import type { DType } from "@sinter/ir";
import { arange, fori, full, random, ShapeError, SinterError, type Tensor } from "@sinter/tracer";
import { describeValue } from "@sinter/tracer/errors";

/** Makes a value of a shape. Draws from `key` only, so that the same key gives the same value. */
export type Initializer = (key: Tensor, shape: readonly number[], dtype?: DType) => Tensor;

export const zeros: Initializer = (_key, shape, dtype = "f32") => full(shape, 0, dtype);
export const ones: Initializer = (_key, shape, dtype = "f32") => full(shape, 1, dtype);

/** `value` everywhere. */
export function constant(value: number): Initializer {
  return (_key, shape, dtype = "f32") => full(shape, value, dtype);
}

/** Evenly from `low` to below `high`. */
export function uniform(low = -0.05, high = 0.05): Initializer {
  return (key, shape, dtype = "f32") => random.uniform(key, shape, low, high, dtype);
}

/** Normal, with this mean and standard deviation. */
export function normal(mean = 0, deviation = 0.05): Initializer {
  return (key, shape, dtype = "f32") => random.normal(key, shape, dtype).mul(deviation).add(mean);
}

/** Normal as above, but drawn again where it is more than two deviations away. */
export function truncatedNormal(mean = 0, deviation = 0.05): Initializer {
  return (key, shape, dtype = "f32") => random.truncatedNormal(key, -2, 2, shape, dtype).mul(deviation).add(mean);
}

/** Glorot and Bengio 2010: variance 2 / (fan in + fan out). */
export const glorotUniform = /* @__PURE__ */ scaled(
  "glorotUniform",
  1,
  (fanIn, fanOut) => (fanIn + fanOut) / 2,
  "uniform",
);
export const glorotNormal = /* @__PURE__ */ scaled(
  "glorotNormal",
  1,
  (fanIn, fanOut) => (fanIn + fanOut) / 2,
  "normal",
);
/** He et al. 2015: variance 2 / fan in, for what a relu follows. */
export const heUniform = /* @__PURE__ */ scaled("heUniform", 2, (fanIn) => fanIn, "uniform");
export const heNormal = /* @__PURE__ */ scaled("heNormal", 2, (fanIn) => fanIn, "normal");
/** LeCun et al. 1998: variance 1 / fan in. */
export const lecunNormal = /* @__PURE__ */ scaled("lecunNormal", 1, (fanIn) => fanIn, "normal");

/** The deviation of a standard normal that was cut off at two deviations. */
const truncatedDeviation = 0.8796256610342398;

function scaled(
  name: string,
  gain: number,
  fan: (fanIn: number, fanOut: number) => number,
  kind: "uniform" | "normal",
): Initializer {
  return (key, shape, dtype = "f32") => {
    const variance = gain / Math.max(1, fan(...fans(name, shape)));
    const made =
      kind === "uniform"
        ? uniform(-Math.sqrt(3 * variance), Math.sqrt(3 * variance))
        : truncatedNormal(0, Math.sqrt(variance) / truncatedDeviation);
    return made(key, shape, dtype);
  };
}

function fans(name: string, shape: readonly number[]): [fanIn: number, fanOut: number] {
  if (shape.length < 2)
    throw new ShapeError(
      `init.${name}: the shape [${shape.join()}] has no inputs and outputs; it needs two axes at least`,
    );
  const positions = shape.slice(0, -2).reduce((n, size) => n * size, 1);
  return [shape.at(-2)! * positions, shape.at(-1)! * positions];
}

/**
 * Orthonormal columns, or rows where those are fewer, times `gain`: evenly among all such matrices (Saxe et al. 2014).
 * All axes but the last are taken together. A normal matrix is made orthonormal column by column (Gram and Schmidt), each
 * twice, which makes them so to the last bits (Giraud et al. 2005).
 */
export function orthogonal(gain = 1): Initializer {
  if (typeof gain !== "number")
    throw new SinterError(`init.orthogonal: gain must be a number, not ${describeValue(gain)}`);
  return (key, shape, dtype = "f32") => {
    if (shape.length < 2) throw new ShapeError(`init.orthogonal: the shape [${shape.join()}] has fewer than two axes`);
    const columns = shape.at(-1)!;
    const rows = shape.slice(0, -1).reduce((n, size) => n * size, 1);
    const [few, many] = [Math.min(rows, columns), Math.max(rows, columns)];
    // By row, as those lie together.
    const start = random.normal(key, [few, many], dtype);
    const made = fori(0, few, (i, done) => done.set(i, unit(apart(done, i, apart(done, i, done.at(i))))), start);
    const fitted = rows < columns ? made : made.transpose();
    return fitted.mul(gain).reshape(shape);
  };
}

/** `row` without its parts along the rows before `i`. */
function apart(done: Tensor, i: Tensor | number, row: Tensor): Tensor {
  const before = arange(done.shape[0]!).lt(i).cast(done.dtype);
  return row.sub(done.matmul(row).mul(before).matmul(done));
}

function unit(row: Tensor): Tensor {
  return row.div(row.norm());
}
