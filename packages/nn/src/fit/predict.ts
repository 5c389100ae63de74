/** What a model says of many samples, batch by batch. */
import type { DType, TypedArray } from "@sinter/ir";
import {
  type CompiledFunction,
  compile,
  ShapeError,
  SinterError,
  Tensor,
  type TensorLike,
  tensor,
  Variable,
} from "@sinter/tracer";
import { checkOptions, describe, describeValue } from "@sinter/tracer/errors";
import { Dataset, disposeElement, fromArrays } from "../data/dataset.ts";
import { type Flat, flatten, isArray } from "../data/samples.ts";
import { turn } from "./host.ts";
import { build, checkModel, type Model, type StepOptions } from "./pass.ts";

export interface PredictOptions {
  /** How many samples are computed at once; 32 unless given. */
  readonly batch?: number;
  /** How the model is compiled. */
  readonly compile?: StepOptions;
}

/**
 * The model's predictions, called with `training: false`: for x [n, ...], which may be a tree of such, the predictions of all n
 * samples, or for a dataset of batches of x those of all batches. At most two programs are compiled. Throws where there
 * are no samples.
 */
export async function predict<P = Tensor>(
  model: Model<P>,
  x: TensorLike | Dataset<unknown> | Readonly<Record<string, TensorLike>>,
  options: PredictOptions = {},
): Promise<P> {
  checkModel("predict", model);
  checkOptions("predict", options, ["batch", "compile"]);
  const { batch = 32, compile: settings = {} } = options;
  if (!(Number.isInteger(batch) && batch > 0))
    throw new SinterError(`predict: batch must be a whole number above 0, not ${describeValue(batch)}`);
  const forward: CompiledFunction<[unknown], P> = compile(
    (input: unknown) => model.call(input as never, { training: false }),
    { name: "predict", ...settings, autograph: false },
  );
  const inputs = x instanceof Dataset ? x : fromArrays(await onHost(x)).batch(batch);
  const parts = new Parts();
  let paused = performance.now();
  for await (const input of inputs.iterate(0) as AsyncIterable<unknown>) {
    let output: P;
    try {
      if (parts.count === 0) build(model, input);
      output = forward(input);
    } finally {
      disposeElement(input);
    }
    await parts.add(output);
    if (performance.now() - paused > 50) {
      await turn();
      paused = performance.now();
    }
  }
  if (parts.count === 0) throw new SinterError("predict: x is empty: it has no samples");
  return parts.joined() as P;
}

/** The tree with the elements of tensors in their places. */
async function onHost(tree: unknown): Promise<unknown> {
  if (tree instanceof Tensor || tree instanceof Variable) return { data: await tree.data(), shape: tree.shape };
  if (isArray(tree) || typeof tree !== "object" || tree === null) return tree;
  const entries = Object.entries(tree).map(async ([key, value]) => [key, await onHost(value)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/** Results one after another, which become one along their first axes. */
class Parts {
  count = 0;
  private first: Flat<Tensor> | undefined;
  /** By leaf: the elements of each part. */
  private readonly data: TypedArray[][] = [];
  private readonly types: { readonly dtype: DType; readonly row: readonly number[] }[] = [];

  /** Takes the tensors in `output`, and frees them. */
  async add(output: unknown): Promise<void> {
    const { leaves, ...flat } = flatten(output, (value) => value instanceof Tensor, "predict: predictions");
    this.count++;
    this.first ??= { leaves, ...flat };
    for (const [i, { value, path }] of leaves.entries()) {
      const { dtype, shape } = value;
      const [, ...row] = shape;
      this.types[i] ??= { dtype, row };
      if (value.rank === 0 || String(row) !== String(this.types[i].row))
        throw new ShapeError(
          `${path} of batch ${this.count} is ${describe(value)}; it must have a row for each sample, of the same shape in all batches`,
        );
      (this.data[i] ??= []).push(await value.data());
      value.dispose();
    }
  }

  joined(): unknown {
    return this.first!.build((i) => {
      const parts = this.data[i]!;
      const { dtype, row } = this.types[i]!;
      const size = parts.reduce((n, { length }) => n + length, 0);
      const all = new (parts[0]!.constructor as new (length: number) => TypedArray)(size);
      let at = 0;
      for (const part of parts) {
        all.set(part, at);
        at += part.length;
      }
      const width = row.reduce((n, d) => n * d, 1);
      return tensor(all, { dtype, shape: [size / width, ...row] });
    });
  }
}
