/** Where layers take the keys of their first values from: a seed and a count, so that the same program starts the same. */
import { random, type Tensor } from "@sinter/tracer";

let root = 0;
let drawn = 0;

/** The seed of everything that layers draw from now on: first weights, and what dropout leaves out. 0 until this is called. */
export function setSeed(seed: number): void {
  // Says what a seed may be.
  random.key(seed).dispose();
  root = seed;
  drawn = 0;
}

/** A key that no other layer has. */
export function nextKey(): Tensor {
  return random.foldIn(random.key(root), drawn++);
}

/** A seed that no other layer has. */
export function nextSeed(): number {
  // Half of a double's whole numbers each: the seed, and how many were drawn.
  return (root % 2 ** 26) * 2 ** 26 + drawn++;
}
