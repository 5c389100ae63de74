/** A stateful source of random numbers: a key in a variable, so that it advances inside compiled functions too. */

import type { DType } from "@sinter/ir";
import * as random from "./lib/random.ts";
import type { Tensor, TensorLike } from "./tensor.ts";
import { type Variable, variable } from "./variable.ts";

/** `new random.Generator(seed)`: each draw uses a new key. */
export class Generator {
  /** The key that the next draw splits. */
  readonly state: Variable;

  constructor(seed: number) {
    using first = random.key(seed);
    this.state = variable(first, { name: "generator", trainable: false });
  }

  /** A key that no other draw has. */
  key(): Tensor {
    const [next, mine] = random.split(this.state, 2) as [Tensor, Tensor];
    this.state.assign(next);
    next.dispose();
    return mine;
  }

  bits(shape?: number | readonly number[]): Tensor {
    using key = this.key();
    return random.bits(key, shape);
  }
  uniform(shape?: number | readonly number[], low?: TensorLike, high?: TensorLike, dtype?: DType): Tensor {
    using key = this.key();
    return random.uniform(key, shape, low, high, dtype);
  }
  normal(shape?: number | readonly number[], dtype?: DType): Tensor {
    using key = this.key();
    return random.normal(key, shape, dtype);
  }
  truncatedNormal(low: number, high: number, shape?: number | readonly number[], dtype?: DType): Tensor {
    using key = this.key();
    return random.truncatedNormal(key, low, high, shape, dtype);
  }
  bernoulli(p?: TensorLike, shape?: number | readonly number[]): Tensor {
    using key = this.key();
    return random.bernoulli(key, p, shape);
  }
  categorical(logits: TensorLike, axis?: number): Tensor {
    using key = this.key();
    return random.categorical(key, logits, axis);
  }
  permutation(x: TensorLike): Tensor {
    using key = this.key();
    return random.permutation(key, x);
  }
}
