/** Penalties on weights, which a layer adds to the loss. */
import type { Tensor } from "@sinter/tracer";

/** A scalar of a weight. */
export type Regularizer = (weight: Tensor) => Tensor;

/** `factor` times the sum of magnitudes. */
export function l1(factor: number): Regularizer {
  return (weight) => weight.abs().sum().mul(factor);
}

/** `factor` times the sum of squares. */
export function l2(factor: number): Regularizer {
  return (weight) => weight.square().sum().mul(factor);
}

/** Both. */
export function l1l2(first: number, second: number): Regularizer {
  return (weight) => l1(first)(weight).add(l2(second)(weight));
}
