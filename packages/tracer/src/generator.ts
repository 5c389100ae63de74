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
    const first = random.key(seed);
    this.state = variable(first, { name: "generator", trainable: false });
    first.dispose();
  }

  /** A key that no other draw has. */
  key(): Tensor {
    const [next, mine] = random.split(this.state, 2) as [Tensor, Tensor];
    this.state.assign(next);
    next.dispose();
    return mine;
  }

  private draw(make: (key: Tensor) => Tensor): Tensor {
    const key = this.key();
    try {
      return make(key);
    } finally {
      key.dispose();
    }
  }

  bits(shape?: number | readonly number[]): Tensor {
    return this.draw((key) => random.bits(key, shape));
  }
  uniform(shape?: number | readonly number[], low?: TensorLike, high?: TensorLike, dtype?: DType): Tensor {
    return this.draw((key) => random.uniform(key, shape, low, high, dtype));
  }
  normal(shape?: number | readonly number[], dtype?: DType): Tensor {
    return this.draw((key) => random.normal(key, shape, dtype));
  }
  truncatedNormal(low: number, high: number, shape?: number | readonly number[], dtype?: DType): Tensor {
    return this.draw((key) => random.truncatedNormal(key, low, high, shape, dtype));
  }
  bernoulli(p?: TensorLike, shape?: number | readonly number[]): Tensor {
    return this.draw((key) => random.bernoulli(key, p, shape));
  }
  categorical(logits: TensorLike, axis?: number): Tensor {
    return this.draw((key) => random.categorical(key, logits, axis));
  }
  permutation(x: TensorLike): Tensor {
    return this.draw((key) => random.permutation(key, x));
  }
}
