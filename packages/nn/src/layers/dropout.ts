/** Dropout. */
import { random, SinterError, type Tensor, where } from "@sinter/tracer";
import { describeValue } from "@sinter/tracer/errors";
import type { CallOptions } from "../module.ts";
import { nextSeed } from "../seed.ts";
import { Layer, type LayerOptions } from "./layer.ts";

export interface DropoutOptions extends LayerOptions {
  /** The seed of what is left out; one of its own unless given. */
  readonly seed?: number;
}

/**
 * While training, sets each element to 0 with probability `rate` and divides the others by 1 - rate (Srivastava et al. 2014);
 * else changes nothing. What is left out follows from a generator that is a variable: each step leaves out others, also
 * in a compiled one, and a checkpoint goes on where it was.
 */
export class Dropout extends Layer {
  readonly rate: number;
  readonly generator: random.Generator;

  constructor(rate: number, options: DropoutOptions = {}) {
    super("Dropout", options, ["seed"]);
    if (!(typeof rate === "number" && rate >= 0 && rate < 1))
      throw new SinterError(`nn.Dropout: rate must be from 0 to below 1, not ${describeValue(rate)}`);
    this.rate = rate;
    this.generator = new random.Generator(options.seed ?? nextSeed());
  }

  override call(x: Tensor, { training = false }: CallOptions = {}): Tensor {
    if (!training || this.rate === 0) return x;
    const kept = this.generator.bernoulli(1 - this.rate, x.dims as readonly number[]);
    return where(kept, x.div(1 - this.rate), 0);
  }
}
