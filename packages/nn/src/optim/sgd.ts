/** Steps against the gradient, plain and with momentum. */
import { type Optimizer, type OptimizerOptions, optimizer } from "./optimizer.ts";

export interface MomentumOptions extends OptimizerOptions {
  /** How much of the last step goes on; 0.9 unless given. */
  readonly momentum?: number;
}

/** w -= rate g (Robbins and Monro 1951). */
export function sgd(options: OptimizerOptions = {}): Optimizer {
  return optimizer(
    {
      name: "sgd",
      slots: {},
      update: ({ value, gradient, rate }) => ({ value: value.sub(gradient.mul(rate)), slots: {} }),
    },
    options.learningRate ?? 0.01,
    options,
  );
}

/** v = momentum v - rate g, w += v (Polyak 1964). */
export function momentum(options: MomentumOptions = {}): Optimizer {
  const { momentum: kept = 0.9 } = options;
  return optimizer(
    {
      name: "momentum",
      slots: { velocity: 0 },
      update({ value, gradient, slots, rate }) {
        const velocity = slots.velocity.mul(kept).sub(gradient.mul(rate));
        return { value: value.add(velocity), slots: { velocity } };
      },
    },
    options.learningRate ?? 0.01,
    options,
    { momentum: [kept, 0, 1] },
  );
}

/** v = momentum v - rate g, w += momentum v - rate g (Nesterov 1983, as in Sutskever et al. 2013). */
export function nesterov(options: MomentumOptions = {}): Optimizer {
  const { momentum: kept = 0.9 } = options;
  return optimizer(
    {
      name: "nesterov",
      slots: { velocity: 0 },
      update({ value, gradient, slots, rate }) {
        const step = gradient.mul(rate);
        const velocity = slots.velocity.mul(kept).sub(step);
        return { value: value.add(velocity.mul(kept)).sub(step), slots: { velocity } };
      },
    },
    options.learningRate ?? 0.01,
    options,
    { momentum: [kept, 0, 1] },
  );
}
