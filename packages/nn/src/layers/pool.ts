/** Pooling as layers: windows, and whole images, of which one number is left for each channel. */
import { avgPool, type Layout, maxPool, type Padding, ShapeError, type Tensor } from "@sinter/tracer";
import { describe } from "@sinter/tracer/errors";
import { checkCounts, Layer, type LayerOptions } from "./layer.ts";

export interface PoolOptions extends LayerOptions {
  /** Distance between windows: one for all axes, or one for each; the window's own sizes unless given. */
  readonly strides?: number | readonly number[];
  /** "valid" unless given. What is added at the edges counts for nothing. */
  readonly padding?: Padding;
  /** Of x and of the result; channels last unless given. */
  readonly layout?: Layout;
}
export interface GlobalPoolOptions extends LayerOptions {
  readonly layout?: Layout;
  /** Whether the axes that were averaged stay, with size 1. */
  readonly keepDims?: boolean;
}

abstract class Pool extends Layer {
  /** The sizes of the window. */
  readonly poolSize: readonly number[];
  private readonly options: PoolOptions;

  constructor(kind: string, axes: number, poolSize: number | readonly number[], options: PoolOptions) {
    super(kind, options, ["strides", "padding", "layout"]);
    this.poolSize = checkCounts(`nn.${kind}`, "poolSize", poolSize, axes);
    this.options = options;
  }

  override call(x: Tensor): Tensor {
    const axes = this.poolSize.length;
    if (x.dims.length !== axes + 2)
      throw new ShapeError(
        `${this.name}: x is ${describe(x)}, and must have ${axes + 2} axes: samples, ${axes === 1 ? "places" : "rows, columns"} and channels`,
      );
    const { strides = this.poolSize, padding = "valid", layout } = this.options;
    return this.named(() => this.fold(x, { strides, padding, ...(layout === undefined ? {} : { layout }) }));
  }

  protected abstract fold(x: Tensor, options: Omit<PoolOptions, "name">): Tensor;
}

abstract class MaxPool extends Pool {
  protected override fold(x: Tensor, options: Omit<PoolOptions, "name">): Tensor {
    return maxPool(x, this.poolSize, options);
  }
}

abstract class AvgPool extends Pool {
  protected override fold(x: Tensor, options: Omit<PoolOptions, "name">): Tensor {
    return avgPool(x, this.poolSize, options);
  }
}

/** The largest element of each window, channel by channel: [N, W, C] to [N, W', C]. */
export class MaxPool1d extends MaxPool {
  constructor(poolSize: number | readonly number[] = 2, options: PoolOptions = {}) {
    super("MaxPool1d", 1, poolSize, options);
  }
}

/** The largest element of each window, channel by channel: [N, H, W, C] to [N, H', W', C]. */
export class MaxPool2d extends MaxPool {
  constructor(poolSize: number | readonly number[] = 2, options: PoolOptions = {}) {
    super("MaxPool2d", 2, poolSize, options);
  }
}

/** The mean of each window, channel by channel: [N, W, C] to [N, W', C]. */
export class AvgPool1d extends AvgPool {
  constructor(poolSize: number | readonly number[] = 2, options: PoolOptions = {}) {
    super("AvgPool1d", 1, poolSize, options);
  }
}

/** The mean of each window, channel by channel: [N, H, W, C] to [N, H', W', C]. */
export class AvgPool2d extends AvgPool {
  constructor(poolSize: number | readonly number[] = 2, options: PoolOptions = {}) {
    super("AvgPool2d", 2, poolSize, options);
  }
}

/** The mean of each channel over all places: [N, ..., C] to [N, C], with one spatial axis or more. */
export class GlobalAveragePool extends Layer {
  private readonly options: GlobalPoolOptions;

  constructor(options: GlobalPoolOptions = {}) {
    super("GlobalAveragePool", options, ["layout", "keepDims"]);
    this.options = options;
  }

  override call(x: Tensor): Tensor {
    const { layout, keepDims = false } = this.options;
    const rank = x.dims.length;
    if (rank < 3)
      throw new ShapeError(`${this.name}: x is ${describe(x)}, and must have samples, channels, and axes to average`);
    const from = (layout?.endsWith("C") ?? true) ? 1 : 2;
    return x.mean(
      Array.from({ length: rank - 2 }, (_, i) => i + from),
      keepDims,
    );
  }
}
