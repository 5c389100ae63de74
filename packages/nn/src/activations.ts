/** Activations by name, for layers. */
import {
  elu,
  gelu,
  leakyRelu,
  relu,
  SinterError,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  type Tensor,
  tanh,
} from "@sinter/tracer";
import { describeValue } from "@sinter/tracer/errors";

const named = {
  linear: (x: Tensor) => x,
  relu: (x: Tensor) => relu(x),
  leakyRelu: (x: Tensor) => leakyRelu(x),
  elu: (x: Tensor) => elu(x),
  selu: (x: Tensor) => selu(x),
  gelu: (x: Tensor) => gelu(x),
  silu: (x: Tensor) => silu(x),
  sigmoid: (x: Tensor) => sigmoid(x),
  tanh: (x: Tensor) => tanh(x),
  softplus: (x: Tensor) => softplus(x),
  softmax: (x: Tensor) => softmax(x, -1),
} as const;

/** A name, or any function of a tensor. */
export type Activation = keyof typeof named | ((x: Tensor) => Tensor);

export function activationOf(caller: string, activation: Activation): (x: Tensor) => Tensor {
  if (typeof activation === "function") return activation;
  if (Object.hasOwn(named, activation)) return named[activation];
  throw new SinterError(
    `${caller}: there is no activation ${describeValue(activation)}; there are ${Object.keys(named).join(", ")}, and any function`,
  );
}
