/** Layers without variables that stand between others. */
import { ShapeError, type Tensor } from "@sinter/tracer";
import { describe } from "@sinter/tracer/errors";
import { type Activation, activationOf } from "../activations.ts";
import { Layer, type LayerOptions } from "./layer.ts";

/** All axes but the first as one: [N, ...] to [N, elements of a sample]. */
export class Flatten extends Layer {
  constructor(options: LayerOptions = {}) {
    super("Flatten", options, []);
  }

  override call(x: Tensor): Tensor {
    const [samples, ...rest] = x.dims;
    if (samples === undefined)
      throw new ShapeError(`${this.name}: x must have an axis of samples at least, not ${describe(x)}`);
    const isKnown = rest.every((size) => typeof size === "number");
    return this.named(() => x.reshape([samples, isKnown ? rest.reduce((n, size) => n * size, 1) : -1]));
  }
}

/** An activation as a layer of its own: by name, or any function of a tensor. */
export class ActivationLayer extends Layer {
  private readonly activation: (x: Tensor) => Tensor;

  constructor(activation: Activation, options: LayerOptions = {}) {
    super("Activation", options, []);
    this.activation = activationOf("nn.Activation", activation);
  }

  override call(x: Tensor): Tensor {
    return this.activation(x);
  }
}
