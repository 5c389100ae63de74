/** The fully connected layer. */
import { ShapeError, type Tensor, type Variable } from "@sinter/tracer";
import { describe } from "@sinter/tracer/errors";
import { type Activation, activationOf } from "../activations.ts";
import { glorotUniform, type Initializer, zeros } from "../init.ts";
import type { Regularizer } from "../regularizers.ts";
import { checkCount, Layer, type LayerOptions } from "./layer.ts";

export interface DenseOptions extends LayerOptions {
  /** What follows the product; nothing unless given. */
  readonly activation?: Activation;
  readonly useBias?: boolean;
  readonly kernelInitializer?: Initializer;
  readonly biasInitializer?: Initializer;
  readonly kernelRegularizer?: Regularizer;
  /** The size of the input's last axis, where the variables are to be there before the first call. */
  readonly inputs?: number;
}

/** O = activation(X W + b): f32[..., inputs] to f32[..., units], with kernel W [inputs, units] and bias b [units]. */
export class Dense extends Layer {
  readonly units: number;
  kernel: Variable | undefined;
  bias: Variable | undefined;
  private readonly options: DenseOptions;
  private readonly activation: (x: Tensor) => Tensor;

  constructor(units: number, options: DenseOptions = {}) {
    super("Dense", options, [
      ...["activation", "useBias", "kernelInitializer", "biasInitializer", "kernelRegularizer", "inputs"],
    ]);
    this.units = checkCount("nn.Dense", "units", units);
    this.options = options;
    this.activation = activationOf("nn.Dense", options.activation ?? "linear");
    if (options.inputs !== undefined) this.make(checkCount("nn.Dense", "inputs", options.inputs));
  }

  override call(x: Tensor): Tensor {
    const inputs = x.dims.at(-1);
    if (inputs === undefined) throw new ShapeError(`${this.name}: x must have at least one axis, not ${describe(x)}`);
    if (typeof inputs !== "number")
      throw new ShapeError(`${this.name}: the size of the last axis of x, ${describe(x)}, must be known`);
    const kernel = this.kernel ?? this.make(inputs);
    if (kernel.shape[0] !== inputs)
      throw new ShapeError(`${this.name}: x is ${describe(x)}, but the layer takes ${kernel.shape[0]} inputs`);
    const product = x.matmul(kernel);
    return this.activation(this.bias === undefined ? product : product.add(this.bias));
  }

  protected override unbuilt(): string | undefined {
    return this.kernel === undefined ? "how many inputs it has is known when it is called" : undefined;
  }

  private make(inputs: number): Variable {
    const {
      useBias = true,
      kernelInitializer = glorotUniform,
      biasInitializer = zeros,
      kernelRegularizer,
    } = this.options;
    const kernel = this.parameter("kernel", [inputs, this.units], kernelInitializer, {
      regularizer: kernelRegularizer,
    });
    this.kernel = kernel;
    if (useBias) this.bias = this.parameter("bias", [this.units], biasInitializer);
    return kernel;
  }
}
