/** Attention of several heads (Vaswani et al. 2017). */
import type { Dim } from "@sinter/ir";
import { DTypeError, matmul, ones, ShapeError, type Tensor, where } from "@sinter/tracer";
import { checkOptions, describe } from "@sinter/tracer/errors";
import type { Initializer } from "../init.ts";
import type { CallOptions } from "../module.ts";
import type { Regularizer } from "../regularizers.ts";
import { Dense } from "./dense.ts";
import { Dropout } from "./dropout.ts";
import { checkCount, Layer, type LayerOptions } from "./layer.ts";

export interface AttentionOptions extends LayerOptions {
  /** Features of each head's values; keyDim unless given. */
  readonly valueDim?: number;
  /** The size of the result's last axis; that of the query unless given. */
  readonly outputDim?: number;
  /** How many of the weights of attention are dropped while training; 0 unless given. */
  readonly dropout?: number;
  readonly useBias?: boolean;
  readonly kernelInitializer?: Initializer;
  readonly biasInitializer?: Initializer;
  readonly kernelRegularizer?: Regularizer;
  /** The size of the last axis of query, key and value, where the variables are to be there before the first call. */
  readonly inputs?: number;
}

export interface AttentionCallOptions extends CallOptions {
  /** What is asked for, [..., sources, features]: the value where only that is given, else the query itself. */
  readonly key?: Tensor;
  /** What is brought, [..., sources, features]: the key unless given. */
  readonly value?: Tensor;
  /**
   * bool [..., targets, sources]: true where a target may look at a source; the same for all heads, or with an axis of heads
   * before. For padded sources of a batch: `present.expandDims(1)` of bool [N, sources].
   */
  readonly mask?: Tensor;
  /** Whether target i sees the sources up to i only. */
  readonly causal?: boolean;
}

/** Stands in for the logarithm of 0, so that a target that sees nothing has even weights instead of NaN. */
const hidden = -1e9;

/**
 * Looks up, for each target of a query f32[..., targets, features], a mean of values, weighted by the softmax of query
 * times key / sqrt(keyDim), in `numHeads` ways at once: [..., targets, outputDim]. Each of `query`, `key`, `value` and
 * `output` is a Dense layer: head h has the columns h * keyDim up to (h + 1) * keyDim.
 */
export class MultiHeadAttention extends Layer {
  readonly numHeads: number;
  readonly keyDim: number;
  readonly query: Dense;
  readonly key: Dense;
  readonly value: Dense;
  output: Dense | undefined;
  readonly dropout: Dropout | undefined;
  private readonly options: AttentionOptions;

  constructor(numHeads: number, keyDim: number, options: AttentionOptions = {}) {
    super("MultiHeadAttention", options, [
      ...["valueDim", "outputDim", "dropout", "useBias", "kernelInitializer", "biasInitializer", "kernelRegularizer"],
      "inputs",
    ]);
    this.numHeads = checkCount("nn.MultiHeadAttention", "numHeads", numHeads);
    this.keyDim = checkCount("nn.MultiHeadAttention", "keyDim", keyDim);
    this.options = options;
    const valueDim = checkCount("nn.MultiHeadAttention", "valueDim", options.valueDim ?? keyDim);
    const { dropout = 0, inputs } = options;
    this.query = this.dense("query", numHeads * keyDim, inputs);
    this.key = this.dense("key", numHeads * keyDim, inputs);
    this.value = this.dense("value", numHeads * valueDim, inputs);
    const outputs = options.outputDim ?? inputs;
    if (outputs !== undefined)
      this.output = this.dense(
        "output",
        checkCount("nn.MultiHeadAttention", "outputDim", outputs),
        inputs === undefined ? undefined : numHeads * valueDim,
      );
    if (dropout !== 0) this.dropout = new Dropout(dropout, { name: `${this.name}.dropout` });
  }

  override call(query: Tensor, options: AttentionCallOptions = {}): Tensor {
    checkOptions(this.name, options, ["key", "value", "mask", "causal", "training"]);
    const { mask, causal = false, training = false } = options;
    const key = options.key ?? options.value ?? query;
    const value = options.value ?? key;
    this.checkInputs(query, key, value);
    const width = query.dims.at(-1);
    if (typeof width !== "number")
      throw new ShapeError(`${this.name}: the size of the last axis of query, ${describe(query)}, must be known`);
    const q = this.heads(this.query.call(query).mul(1 / Math.sqrt(this.keyDim)));
    const k = this.heads(this.key.call(key));
    const v = this.heads(this.value.call(value));
    return this.named(() => {
      const scores = this.masked(matmul(q, k.swapAxes(-1, -2)), mask, causal);
      const softmax = scores.softmax(-1);
      const weights = this.dropout === undefined ? softmax : this.dropout.call(softmax, { training });
      const looked = weights.matmul(v).swapAxes(-2, -3);
      const joined = looked.reshape([...looked.dims.slice(0, -2), this.value.units]);
      this.output ??= this.dense("output", width, undefined);
      return this.output.call(joined);
    });
  }

  protected override unbuilt(): string | undefined {
    return this.output === undefined ? "how wide its result is, is known when it is called" : undefined;
  }

  private dense(part: string, units: number, inputs: number | undefined): Dense {
    const { useBias = true, kernelInitializer, biasInitializer, kernelRegularizer } = this.options;
    return new Dense(units, {
      name: `${this.name}.${part}`,
      useBias,
      ...(kernelInitializer === undefined ? {} : { kernelInitializer }),
      ...(biasInitializer === undefined ? {} : { biasInitializer }),
      ...(kernelRegularizer === undefined ? {} : { kernelRegularizer }),
      ...(inputs === undefined ? {} : { inputs }),
    });
  }

  private checkInputs(query: Tensor, key: Tensor, value: Tensor): void {
    const all = `query is ${describe(query)}, key ${describe(key)}, value ${describe(value)}`;
    const rank = query.dims.length;
    if (rank < 2 || key.dims.length !== rank || value.dims.length !== rank)
      throw new ShapeError(
        `${this.name}: ${all}: they must have the same number of axes, [..., places, features], two at least`,
      );
    const sizes = (of: readonly Dim[]): string => of.map((size) => (typeof size === "number" ? size : size.key)).join();
    const [q, k, v] = [query, key, value].map(({ dims }) => dims);
    if (sizes(q!.slice(0, -2)) !== sizes(k!.slice(0, -2)) || sizes(k!.slice(0, -1)) !== sizes(v!.slice(0, -1)))
      throw new ShapeError(
        `${this.name}: ${all}: axes before the last two must agree, and key and value must have as many places as each other`,
      );
  }

  /** [..., places, heads * n] to [..., heads, places, n]. */
  private heads(x: Tensor): Tensor {
    const each = (x.dims.at(-1) as number) / this.numHeads;
    return x.reshape([...x.dims.slice(0, -1), this.numHeads, each]).swapAxes(-2, -3);
  }

  /** Scores [..., heads, targets, sources], far below all others where a target may not look. */
  private masked(scores: Tensor, mask: Tensor | undefined, causal: boolean): Tensor {
    const seen: Tensor[] = [];
    if (mask !== undefined) {
      if (mask.dtype !== "bool")
        throw new DTypeError(`mask must be bool, true where a target may look at a source, not ${describe(mask)}`);
      if (mask.dims.length > scores.dims.length || mask.dims.length < 2)
        throw new ShapeError(
          `mask is ${describe(mask)}, and must be bool[..., targets, sources] for scores ${describe(scores)}`,
        );
      const needsHeads = mask.dims.length === scores.dims.length - 1 && mask.dims.length > 2;
      seen.push(needsHeads ? mask.expandDims(-3) : mask);
    }
    if (causal) seen.push(ones(scores.dims.slice(-2), "i32").tril().ne(0));
    const [first, ...others] = seen;
    if (first === undefined) return scores;
    const all = others.reduce((both, one) => both.and(one), first);
    return where(all, scores, hidden);
  }
}
