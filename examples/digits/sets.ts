/** Sets of handwritten digits, how they are split, and the batches of training: what needs no file system. */
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

/** Which images are held out is the same each time. */
export function split(all: Digits): Split {
  const order = shuffled(all.count, splitSeed);
  const [testIndices, trainIndices] = [order.subarray(0, heldOut), order.subarray(heldOut)];
  return { train: pick(all, trainIndices), test: pick(all, testIndices), trainIndices, testIndices };
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
