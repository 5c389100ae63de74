/** Gradients made smaller where they are too large. */
import { SinterError, type Tensor } from "@sinter/tracer";
import { describeValue } from "@sinter/tracer/errors";

/** Each element within -limit..limit. */
export function clipByValue(gradients: readonly Tensor[], limit: number): Tensor[] {
  positive("clipByValue", "limit", limit);
  return gradients.map((gradient) => gradient.clip(-limit, limit));
}

/**
 * All gradients times the same factor, so that the length of all elements together is `most` at most (Pascanu et al. 2013);
 * and the length before.
 */
export function clipByGlobalNorm(
  gradients: readonly Tensor[],
  most: number,
): { readonly grads: Tensor[]; readonly norm: Tensor } {
  positive("clipByGlobalNorm", "most", most);
  const [first, ...others] = gradients.map((gradient) => gradient.square().sum());
  if (first === undefined) throw new SinterError("optim.clipByGlobalNorm: there are no gradients");
  const norm = others.reduce((sum, square) => sum.add(square), first).sqrt();
  const factor = norm.maximum(most).reciprocal().mul(most);
  return { grads: gradients.map((gradient) => gradient.mul(factor)), norm };
}

function positive(caller: string, name: string, value: number): void {
  if (!(typeof value === "number" && value > 0))
    throw new SinterError(`optim.${caller}: ${name} must be a number above 0, not ${describeValue(value)}`);
}
