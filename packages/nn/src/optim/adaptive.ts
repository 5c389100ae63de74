/** Methods with a rate of its own for each weight, from the gradients that it has had. */
import { type Tensor, tensor } from "@sinter/tracer";
import { type Optimizer, type OptimizerOptions, optimizer, type Update } from "./optimizer.ts";

export interface AdagradOptions extends OptimizerOptions {
  /** What the sums of squares start at; 0 unless given, as in the paper (Keras: 0.1). */
  readonly initialAccumulator?: number;
  readonly epsilon?: number;
}

/** s += g^2, w -= rate g / (sqrt(s) + epsilon) (Duchi et al. 2011). */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  const { initialAccumulator = 0, epsilon = 1e-7 } = options;
  return optimizer(
    {
      name: "adagrad",
      slots: { squares: initialAccumulator },
      update({ value, gradient, slots, rate }) {
        const squares = slots.squares.add(gradient.square());
        return { value: value.sub(gradient.mul(rate).div(squares.sqrt().add(epsilon))), slots: { squares } };
      },
    },
    options.learningRate ?? 0.01,
    options,
    { initialAccumulator: [initialAccumulator, 0, Number.MAX_VALUE], epsilon: [epsilon, 0, 1] },
  );
}

export interface RmspropOptions extends OptimizerOptions {
  /** How much of the mean square stays; 0.9 unless given. */
  readonly rho?: number;
  readonly epsilon?: number;
}

/** s = rho s + (1 - rho) g^2, w -= rate g / (sqrt(s) + epsilon) (Tieleman and Hinton 2012). */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  const { rho = 0.9, epsilon = 1e-7 } = options;
  return optimizer(
    {
      name: "rmsprop",
      slots: { square: 0 },
      update({ value, gradient, slots, rate }) {
        const square = average(slots.square, gradient.square(), rho);
        return { value: value.sub(gradient.mul(rate).div(square.sqrt().add(epsilon))), slots: { square } };
      },
    },
    options.learningRate ?? 0.001,
    options,
    { rho: [rho, 0, 1], epsilon: [epsilon, 0, 1] },
  );
}

export interface AdamOptions extends OptimizerOptions {
  /** How much of the mean of gradients stays; 0.9 unless given. */
  readonly beta1?: number;
  /** How much of the mean of squares stays; 0.999 unless given. */
  readonly beta2?: number;
  readonly epsilon?: number;
}
export interface AdamwOptions extends AdamOptions {
  /** The part of a weight that a rate of 1 takes away; 0.01 unless given. */
  readonly weightDecay?: number;
}
export interface AdaboundOptions extends AdamOptions {
  /** The rate that the bounds close in on; 0.1 unless given. */
  readonly finalLearningRate?: number;
  /** How fast they do; 0.001 unless given. */
  readonly gamma?: number;
}

/** Kingma and Ba 2015, algorithm 1. */
export function adam(options: AdamOptions = {}): Optimizer {
  const betas = betasOf(options);
  const { epsilon = 1e-8 } = options;
  return optimizer(
    {
      name: "adam",
      slots: means,
      update(at) {
        const { slots, mean, square } = moments(at, betas);
        return { value: at.value.sub(mean.mul(at.rate).div(square.sqrt().add(epsilon))), slots };
      },
    },
    options.learningRate ?? 0.001,
    options,
    { ...bounds(betas), epsilon: [epsilon, 0, 1] },
  );
}

/** Adam with the decay of weights beside it: w -= rate (step of Adam + decay w) (Loshchilov and Hutter 2019, algorithm 2). */
export function adamw(options: AdamwOptions = {}): Optimizer {
  const betas = betasOf(options);
  const { epsilon = 1e-8, weightDecay = 0.01 } = options;
  return optimizer(
    {
      name: "adamw",
      slots: means,
      update(at) {
        const { slots, mean, square } = moments(at, betas);
        const step = mean.div(square.sqrt().add(epsilon)).add(at.value.mul(weightDecay));
        return { value: at.value.sub(step.mul(at.rate)), slots };
      },
    },
    options.learningRate ?? 0.001,
    options,
    { ...bounds(betas), epsilon: [epsilon, 0, 1], weightDecay: [weightDecay, 0, Number.MAX_VALUE] },
  );
}

/**
 * Adam whose rates are kept between bounds that close in on those of SGD (Luo et al. 2019), as the authors' program has it:
 * with Adam's corrections for the start, and without the 1 / sqrt(t) that only their proof needs.
 */
export function adabound(options: AdaboundOptions = {}): Optimizer {
  const betas = betasOf(options);
  const { epsilon = 1e-8, finalLearningRate = 0.1, gamma = 1e-3 } = options;
  return optimizer(
    {
      name: "adabound",
      slots: means,
      update(at) {
        const { slots } = moments(at, betas);
        const [beta1, beta2] = betas;
        const scaled = at.rate.mul(missing(beta2, at.step).sqrt()).div(missing(beta1, at.step));
        const close = at.step.mul(gamma);
        const low = tensor(1).sub(close.add(1).reciprocal()).mul(finalLearningRate);
        const high = close.reciprocal().add(1).mul(finalLearningRate);
        const rates = scaled.div(slots.square.sqrt().add(epsilon)).maximum(low).minimum(high);
        return { value: at.value.sub(rates.mul(slots.mean)), slots };
      },
    },
    options.learningRate ?? 0.001,
    options,
    {
      ...bounds(betas),
      epsilon: [epsilon, 0, 1],
      finalLearningRate: [finalLearningRate, 0, Number.MAX_VALUE],
      gamma: [gamma, 0, 1],
    },
  );
}

export interface LionOptions extends OptimizerOptions {
  /** How much of the mean the step's sign is taken of; 0.9 unless given. */
  readonly beta1?: number;
  /** How much of the mean stays; 0.99 unless given. */
  readonly beta2?: number;
  readonly weightDecay?: number;
}

/** w -= rate (sign(beta1 m + (1 - beta1) g) + decay w), m = beta2 m + (1 - beta2) g (Chen et al. 2023, algorithm 2). */
export function lion(options: LionOptions = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.99, weightDecay = 0 } = options;
  return optimizer(
    {
      name: "lion",
      slots: { mean: 0 },
      update({ value, gradient, slots, rate }) {
        const step = average(slots.mean, gradient, beta1).sign().add(value.mul(weightDecay));
        return { value: value.sub(step.mul(rate)), slots: { mean: average(slots.mean, gradient, beta2) } };
      },
    },
    options.learningRate ?? 1e-4,
    options,
    { ...bounds([beta1, beta2]), weightDecay: [weightDecay, 0, Number.MAX_VALUE] },
  );
}

/** What Adam and those after it remember. */
const means = { mean: 0, square: 0 } as const;
type Betas = readonly [beta1: number, beta2: number];

function betasOf({ beta1 = 0.9, beta2 = 0.999 }: AdamOptions): Betas {
  return [beta1, beta2];
}

function bounds([beta1, beta2]: Betas): Record<"beta1" | "beta2", readonly [number, number, number]> {
  return { beta1: [beta1, 0, 1], beta2: [beta2, 0, 1] };
}

/** Running means, and the same corrected for their start at 0. */
function moments({ gradient, slots, step }: Update<keyof typeof means>, [beta1, beta2]: Betas) {
  const mean = average(slots.mean, gradient, beta1);
  const square = average(slots.square, gradient.square(), beta2);
  return {
    slots: { mean, square },
    mean: mean.div(missing(beta1, step)),
    square: square.div(missing(beta2, step)),
  };
}

function average(old: Tensor, now: Tensor, kept: number): Tensor {
  return old.mul(kept).add(now.mul(1 - kept));
}

/** 1 - beta^step: how much of a running mean is from gradients. */
function missing(beta: number, step: Tensor): Tensor {
  return tensor(1, { dtype: step.dtype }).sub(tensor(beta, { dtype: step.dtype }).pow(step));
}
