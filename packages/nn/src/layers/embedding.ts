/** Rows of a table, by number. */
import { assert, DTypeError, gather, type Tensor, type Variable } from "@sinter/tracer";
import { describe } from "@sinter/tracer/errors";
import { type Initializer, uniform } from "../init.ts";
import type { Regularizer } from "../regularizers.ts";
import { checkCount, Layer, type LayerOptions } from "./layer.ts";

export interface EmbeddingOptions extends LayerOptions {
  readonly embeddingsInitializer?: Initializer;
  readonly embeddingsRegularizer?: Regularizer;
}

/** i32 or u32 [...] to f32[..., width]: row i of a table of `count` rows for each i. A number outside 0..count-1 fails. */
export class Embedding extends Layer {
  readonly embeddings: Variable;

  constructor(count: number, width: number, options: EmbeddingOptions = {}) {
    super("Embedding", options, ["embeddingsInitializer", "embeddingsRegularizer"]);
    const shape = [checkCount("nn.Embedding", "count", count), checkCount("nn.Embedding", "width", width)];
    const { embeddingsInitializer = uniform(), embeddingsRegularizer } = options;
    this.embeddings = this.parameter("embeddings", shape, embeddingsInitializer, {
      regularizer: embeddingsRegularizer,
    });
  }

  override call(x: Tensor): Tensor {
    if (x.dtype !== "i32" && x.dtype !== "u32")
      throw new DTypeError(`${this.name}: x must be i32 or u32, not ${describe(x)}`);
    const count = this.embeddings.shape[0]!;
    assert(x.ge(0).and(x.lt(count)).all(), `${this.name}: a number is outside 0..${count - 1}`);
    return gather(this.embeddings, x, 0);
  }
}
