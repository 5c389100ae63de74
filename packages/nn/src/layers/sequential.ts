/** Layers one after another. */
import { SinterError, type Tensor } from "@sinter/tracer";
import { describeValue } from "@sinter/tracer/errors";
import { type CallOptions, Module } from "../module.ts";

/** A module from a tensor to a tensor, or a function of one. */
export type Part = (Module & { call(x: Tensor, options?: CallOptions): Tensor }) | ((x: Tensor) => Tensor);

/** Calls its parts in order, each with what the one before gave. Functions, such as `relu`, may stand between layers. */
export class Sequential extends Module {
  readonly layers: readonly Part[];

  constructor(layers: readonly Part[]) {
    super();
    if (!Array.isArray(layers))
      throw new SinterError(`nn.Sequential: layers must be an array, not ${describeValue(layers)}`);
    for (const [i, layer] of layers.entries())
      if (typeof layer !== "function" && !(layer instanceof Module && "call" in layer))
        throw new SinterError(`nn.Sequential: layers[${i}] must be a layer or a function, not ${describeValue(layer)}`);
    this.layers = [...layers];
  }

  call(x: Tensor, options: CallOptions = {}): Tensor {
    return this.layers.reduce(
      (value, layer) => (typeof layer === "function" ? layer(value) : layer.call(value, options)),
      x,
    );
  }
}
