/**
 * Convolutions as layers: a kernel, a bias for each channel of the result, an activation. Options are called as in Keras;
 * images have their channels last unless `layout` says otherwise, kernels are [window..., inputs, filters] in all layouts.
 */
import {
  type ConvOptions,
  conv1d,
  conv2d,
  convTranspose2d,
  depthwiseConv2d,
  type Layout,
  type Padding,
  ShapeError,
  SinterError,
  type Tensor,
  type Variable,
} from "@sinter/tracer";
import { describe } from "@sinter/tracer/errors";
import { type Activation, activationOf } from "../activations.ts";
import { glorotUniform, type Initializer, zeros } from "../init.ts";
import type { Regularizer } from "../regularizers.ts";
import { checkCount, checkCounts, Layer, type LayerOptions } from "./layer.ts";

/** What all convolutions are asked for. */
interface CommonOptions extends LayerOptions {
  /** Distance between windows: one for all axes, or one for each; 1 unless given. */
  readonly strides?: number | readonly number[];
  /** "valid" unless given. */
  readonly padding?: Padding;
  /** Distance between the elements of a window; 1 unless given. */
  readonly dilationRate?: number | readonly number[];
  /** Of x and of the result; channels last unless given. */
  readonly layout?: Layout;
  /** What follows the convolution; nothing unless given. */
  readonly activation?: Activation;
  readonly useBias?: boolean;
  readonly biasInitializer?: Initializer;
  /** The number of channels of x, where the variables are to be there before the first call. */
  readonly inputs?: number;
}
export interface ConvTranspose2dOptions extends CommonOptions {
  readonly kernelInitializer?: Initializer;
  readonly kernelRegularizer?: Regularizer;
}
export interface Conv2dOptions extends ConvTranspose2dOptions {
  /** Channels and filters fall into that many parts, each filter seeing the channels of its own only; 1 unless given. */
  readonly groups?: number;
}
export interface Conv1dOptions extends Omit<Conv2dOptions, "padding"> {
  /** "causal": zeros before the first element, so that an element of the result sees none that come later. */
  readonly padding?: Padding | "causal";
}
export interface DepthwiseConv2dOptions extends CommonOptions {
  /** The number of filters for each channel; 1 unless given. */
  readonly depthMultiplier?: number;
  readonly depthwiseInitializer?: Initializer;
  readonly depthwiseRegularizer?: Regularizer;
}

const commonNames = [
  "strides",
  "padding",
  "dilationRate",
  "layout",
  "activation",
  "useBias",
  "biasInitializer",
  "inputs",
];
const kernelNames = [...commonNames, "kernelInitializer", "kernelRegularizer"];

/** What they have in common. Subclasses say what the kernel is and which function takes it. */
abstract class Convolution extends Layer {
  kernel: Variable | undefined;
  bias: Variable | undefined;
  /** The sizes of the window. */
  readonly kernelSize: readonly number[];
  private readonly common: CommonOptions;
  private readonly activation: (x: Tensor) => Tensor;
  private readonly initializer: Initializer;
  private readonly regularizer: Regularizer | undefined;

  constructor(
    kind: string,
    axes: number,
    kernelSize: number | readonly number[],
    options: CommonOptions,
    known: readonly string[],
    first: { readonly initializer: Initializer | undefined; readonly regularizer: Regularizer | undefined },
  ) {
    super(kind, options, known);
    this.kernelSize = checkCounts(`nn.${kind}`, "kernelSize", kernelSize, axes);
    this.common = options;
    this.activation = activationOf(`nn.${kind}`, options.activation ?? "linear");
    this.initializer = first.initializer ?? glorotUniform;
    this.regularizer = first.regularizer;
  }

  override call(x: Tensor): Tensor {
    const axes = this.kernelSize.length;
    const last = this.common.layout?.endsWith("C") ?? true;
    if (x.dims.length !== axes + 2) {
      const hint = x.dims.length === axes + 1 ? "; x.expandDims(0) is a single one" : "";
      throw new ShapeError(
        `${this.name}: x is ${describe(x)}, and must have ${axes + 2} axes: samples, ${axes === 1 ? "places" : "rows, columns"} and channels${hint}`,
      );
    }
    const channels = x.dims[last ? axes + 1 : 1]!;
    if (typeof channels !== "number")
      throw new ShapeError(`${this.name}: the number of channels of x, ${describe(x)}, must be known`);
    const kernel = this.kernel ?? this.make(channels);
    const taken = this.channelsOf(kernel);
    if (taken !== channels)
      throw new ShapeError(
        `${this.name}: x is ${describe(x)} and has ${channels} channels, but the layer takes ${taken}`,
      );
    const made = this.named(() => this.convolve(x, kernel));
    if (this.bias === undefined) return this.activation(made);
    return this.activation(made.add(last ? this.bias : this.bias.reshape([-1, ...this.kernelSize.map(() => 1)])));
  }

  /** The shape of the kernel, and the number of channels of the result. */
  protected abstract sizes(channels: number): { readonly kernel: readonly number[]; readonly filters: number };
  /** How many channels x has where this is the kernel. */
  protected abstract channelsOf(kernel: Variable): number;
  protected abstract convolve(x: Tensor, kernel: Variable): Tensor;

  /** The options of the function, whose own defaults hold where they are not given. */
  protected windows(): ConvOptions {
    const { strides = 1, padding = "valid", dilationRate = 1, layout } = this.common;
    return { strides, padding, dilation: dilationRate, ...(layout === undefined ? {} : { layout }) };
  }

  /** Makes the variables where the options say how many channels x has. The last thing that a constructor does. */
  protected begin(kind: string): void {
    const { inputs } = this.common;
    if (inputs !== undefined) this.make(checkCount(`nn.${kind}`, "inputs", inputs));
  }

  protected override unbuilt(): string | undefined {
    return this.kernel === undefined ? "how many channels it takes is known when it is called" : undefined;
  }

  private make(channels: number): Variable {
    const { useBias = true, biasInitializer = zeros } = this.common;
    const { kernel: shape, filters } = this.sizes(channels);
    const kernel = this.parameter("kernel", shape, this.initializer, { regularizer: this.regularizer });
    this.kernel = kernel;
    if (useBias) this.bias = this.parameter("bias", [filters], biasInitializer);
    return kernel;
  }
}

/** Convolutions whose filters see all channels, or those of their group. */
abstract class Filters extends Convolution {
  readonly filters: number;
  readonly groups: number;

  constructor(
    kind: string,
    axes: number,
    filters: number,
    kernelSize: number | readonly number[],
    options: Omit<Conv2dOptions, "padding">,
    known: readonly string[],
  ) {
    const { kernelInitializer: initializer, kernelRegularizer: regularizer } = options;
    super(kind, axes, kernelSize, options, [...kernelNames, ...known], { initializer, regularizer });
    this.filters = checkCount(`nn.${kind}`, "filters", filters);
    this.groups = checkCount(`nn.${kind}`, "groups", options.groups ?? 1);
    if (this.filters % this.groups !== 0)
      throw new SinterError(`nn.${kind}: ${filters} filters do not fall into ${this.groups} equal groups`);
  }

  protected override sizes(channels: number): { readonly kernel: readonly number[]; readonly filters: number } {
    if (channels % this.groups !== 0)
      throw new ShapeError(`${this.name}: ${channels} channels do not fall into ${this.groups} equal groups`);
    return { kernel: [...this.kernelSize, channels / this.groups, this.filters], filters: this.filters };
  }

  protected override channelsOf(kernel: Variable): number {
    return kernel.shape.at(-2)! * this.groups;
  }
}

/** f32[N, W, C] to f32[N, W', filters]: a window of `kernelSize` places, with kernel [window, C / groups, filters]. */
export class Conv1d extends Filters {
  private readonly lateral: Padding | undefined;

  constructor(filters: number, kernelSize: number | readonly number[], options: Conv1dOptions = {}) {
    const { padding, ...others } = options;
    super("Conv1d", 1, filters, kernelSize, others, ["groups"]);
    const dilation = [options.dilationRate ?? 1].flat()[0];
    this.lateral = padding === "causal" ? [[(this.kernelSize[0]! - 1) * Number(dilation), 0]] : padding;
    this.begin("Conv1d");
  }

  protected override convolve(x: Tensor, kernel: Variable): Tensor {
    return conv1d(x, kernel, { ...this.windows(), padding: this.lateral ?? "valid", groups: this.groups });
  }
}

/** f32[N, H, W, C] to f32[N, H', W', filters], with kernel [H, W, C / groups, filters]. */
export class Conv2d extends Filters {
  constructor(filters: number, kernelSize: number | readonly number[], options: Conv2dOptions = {}) {
    super("Conv2d", 2, filters, kernelSize, options, ["groups"]);
    this.begin("Conv2d");
  }

  protected override convolve(x: Tensor, kernel: Variable): Tensor {
    return conv2d(x, kernel, { ...this.windows(), groups: this.groups });
  }
}

/**
 * The transpose of a convolution, which makes images larger by `strides`: f32[N, H, W, C] to f32[N, H', W', filters], with
 * kernel [H, W, C, filters], where Keras has the last two axes the other way round.
 */
export class ConvTranspose2d extends Filters {
  constructor(filters: number, kernelSize: number | readonly number[], options: ConvTranspose2dOptions = {}) {
    super("ConvTranspose2d", 2, filters, kernelSize, options, []);
    this.begin("ConvTranspose2d");
  }

  protected override convolve(x: Tensor, kernel: Variable): Tensor {
    return convTranspose2d(x, kernel, this.windows());
  }
}

/** Each channel by itself: f32[N, H, W, C] to f32[N, H', W', C * depthMultiplier], with kernel [H, W, C, depthMultiplier]. */
export class DepthwiseConv2d extends Convolution {
  readonly depthMultiplier: number;

  constructor(kernelSize: number | readonly number[], options: DepthwiseConv2dOptions = {}) {
    const { depthwiseInitializer: initializer, depthwiseRegularizer: regularizer } = options;
    const known = [...commonNames, "depthMultiplier", "depthwiseInitializer", "depthwiseRegularizer"];
    super("DepthwiseConv2d", 2, kernelSize, options, known, { initializer, regularizer });
    this.depthMultiplier = checkCount("nn.DepthwiseConv2d", "depthMultiplier", options.depthMultiplier ?? 1);
    this.begin("DepthwiseConv2d");
  }

  protected override sizes(channels: number): { readonly kernel: readonly number[]; readonly filters: number } {
    return {
      kernel: [...this.kernelSize, channels, this.depthMultiplier],
      filters: channels * this.depthMultiplier,
    };
  }

  protected override channelsOf(kernel: Variable): number {
    return kernel.shape[2]!;
  }

  protected override convolve(x: Tensor, kernel: Variable): Tensor {
    return depthwiseConv2d(x, kernel, this.windows());
  }
}
