/** Layer and batch normalisation. */
import { ShapeError, type Tensor, type Variable } from "@sinter/tracer";
import { describe } from "@sinter/tracer/errors";
import { ones, zeros } from "../init.ts";
import type { CallOptions } from "../module.ts";
import { Layer, type LayerOptions } from "./layer.ts";

export interface NormOptions extends LayerOptions {
  /** Added to the variance; 1e-3 unless given, as in Keras. */
  readonly epsilon?: number;
  /** Whether there is a shift, beta. */
  readonly center?: boolean;
  /** Whether there is a factor, gamma. */
  readonly scale?: boolean;
}

export interface BatchNormOptions extends NormOptions {
  /** How much of the moving statistics each step keeps; 0.99 unless given. */
  readonly momentum?: number;
}

/** What both have: a factor and a shift for each place on the last axis. */
abstract class Norm extends Layer {
  gamma: Variable | undefined;
  beta: Variable | undefined;
  /** The size of the last axis, once it is known. */
  protected width: number | undefined;
  private readonly parts: NormOptions;

  constructor(kind: string, options: NormOptions, known: readonly string[]) {
    super(kind, options, ["epsilon", "center", "scale", ...known]);
    this.parts = options;
  }

  /** Makes the variables at the first call; throws where x is of another width than then. */
  protected prepare(x: Tensor): void {
    const width = x.dims.at(-1);
    if (typeof width !== "number")
      throw new ShapeError(`${this.name}: the size of the last axis of x, ${describe(x)}, must be known`);
    if (this.width === undefined) {
      const { center = true, scale = true } = this.parts;
      this.width = width;
      if (scale) this.gamma = this.parameter("gamma", [width], ones);
      if (center) this.beta = this.parameter("beta", [width], zeros);
      this.make(width);
    }
    if (this.width !== width)
      throw new ShapeError(`${this.name}: x is ${describe(x)}, but the layer normalises ${this.width} features`);
  }

  protected make(_width: number): void {}

  /** (x - mean) / sqrt(variance + epsilon), times gamma, plus beta. */
  protected normalised(x: Tensor, mean: Tensor, variance: Tensor): Tensor {
    const { epsilon = 1e-3 } = this.parts;
    const unit = x.sub(mean).mul(variance.add(epsilon).rsqrt());
    const scaled = this.gamma === undefined ? unit : unit.mul(this.gamma);
    return this.beta === undefined ? scaled : scaled.add(this.beta);
  }

  protected override unbuilt(): string | undefined {
    return this.width === undefined ? "how many features it normalises is known when it is called" : undefined;
  }
}

/** Normalises the last axis of each row (Ba et al. 2016): f32[..., width] to the same shape. */
export class LayerNorm extends Norm {
  constructor(options: NormOptions = {}) {
    super("LayerNorm", options, []);
  }

  override call(x: Tensor): Tensor {
    this.prepare(x);
    return this.normalised(x, x.mean(-1, true), x.variance(-1, true));
  }
}

/**
 * Normalises each feature, which are on the last axis, over all others (Ioffe and Szegedy 2015): while training by the batch's
 * mean and variance, of which moving averages are kept, else by these.
 */
export class BatchNorm extends Norm {
  movingMean: Variable | undefined;
  movingVariance: Variable | undefined;
  private readonly momentum: number;

  constructor(options: BatchNormOptions = {}) {
    super("BatchNorm", options, ["momentum"]);
    this.momentum = options.momentum ?? 0.99;
  }

  override call(x: Tensor, { training = false }: CallOptions = {}): Tensor {
    this.prepare(x);
    const [movingMean, movingVariance] = [this.movingMean!, this.movingVariance!];
    if (!training) return this.normalised(x, movingMean.value, movingVariance.value);
    const axes = x.dims.slice(0, -1).map((_, i) => i);
    const [mean, variance] = [x.mean(axes), x.variance(axes)];
    for (const [moving, now] of [
      [movingMean, mean],
      [movingVariance, variance],
    ] as const)
      moving.assign(moving.mul(this.momentum).add(now.mul(1 - this.momentum)));
    return this.normalised(x, mean, variance);
  }

  protected override make(width: number): void {
    this.movingMean = this.parameter("movingMean", [width], zeros, { trainable: false });
    this.movingVariance = this.parameter("movingVariance", [width], ones, { trainable: false });
  }
}
