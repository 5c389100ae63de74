/** What a model is trained on: batches of { x, y } from datasets and other iterables, and whose tensors they are. */
import { ShapeError, SinterError, Tensor, tensor } from "@sinter/tracer";
import { describe, describeValue } from "@sinter/tracer/errors";
import { Dataset, disposeElement } from "../data/dataset.ts";
import { type Column, flatten, isArray, isSample } from "../data/samples.ts";

type AnyIterable = Iterable<unknown> | AsyncIterable<unknown>;

/**
 * Batches { x, y } or [x, y]: a dataset, an array of them, anything that can be gone through once per epoch, or a function that
 * gives such for an epoch (0 is the first). Tensors from datasets and functions are freed when the batch is done; those of
 * other iterables stay their owner's.
 */
export type Batches = AnyIterable | ((epoch: number) => AnyIterable);

/** A batch as a step takes it. */
export interface Batch {
  /** Tensors, or trees of them. */
  readonly x: unknown;
  readonly y: unknown;
  /** How many samples it has. */
  readonly rows: number;
  /** All shapes: what a trace is made for. */
  readonly key: string;
  /** Frees what the step does not need any longer. */
  free(): void;
}

/** How many batches an epoch has, where that is known. */
export function batchCount(batches: Batches): number | undefined {
  if (batches instanceof Dataset) return batches.size;
  return Array.isArray(batches) ? batches.length : undefined;
}

/** Throws where something is no source of batches at all. */
export function checkBatches(caller: string, name: string, batches: unknown): void {
  const iterable =
    typeof batches === "object" && batches !== null && (Symbol.iterator in batches || Symbol.asyncIterator in batches);
  if (!iterable && typeof batches !== "function")
    throw new SinterError(
      `${caller}: ${name} must be a dataset, such as data.fromArrays({ x, y }).batch(32), or another iterable of { x, y }, not ${describeValue(batches)}`,
    );
}

/** The elements of an epoch from one on. */
export async function* elementsOf(
  batches: Batches,
  epoch: number,
  from: number,
): AsyncGenerator<{ readonly element: unknown; readonly owned: boolean }> {
  if (batches instanceof Dataset) {
    for await (const element of batches.iterate(epoch, from)) yield { element, owned: true };
    return;
  }
  const owned = typeof batches === "function";
  let index = 0;
  for await (const element of owned ? batches(epoch) : batches) {
    if (index++ >= from) yield { element, owned };
    else if (owned) disposeElement(element);
  }
}

/** An element as a batch. Throws where it is none. */
export function batchOf(caller: string, element: unknown, owned: boolean): Batch {
  const made: Tensor[] = [];
  const free = (): void => {
    for (const each of made) each.dispose();
    if (owned) disposeElement(element);
  };
  try {
    const [x, y] = partsOf(caller, element);
    const leaves: Tensor[] = [];
    const built = [tensors(caller, x, "x", leaves, made), tensors(caller, y, "y", leaves, made)] as const;
    const rows = rowsOf(caller, leaves);
    const key = leaves.map(({ shape }) => shape.join()).join(";");
    return { x: built[0], y: built[1], rows, key, free };
  } catch (error) {
    free();
    throw error;
  }
}

function partsOf(caller: string, element: unknown): readonly [x: unknown, y: unknown] {
  if (Array.isArray(element) && element.length === 2) return element as [unknown, unknown];
  if (typeof element === "object" && element !== null && !Array.isArray(element) && !isArray(element)) {
    const keys = Object.keys(element);
    if (keys.length === 2 && "x" in element && "y" in element) return [element.x, element.y];
  }
  throw new SinterError(
    `${caller}: a batch must be { x, y } or [x, y], the inputs and the labels, but is ${describeValue(element)}; name the arrays so, as in data.fromArrays({ x: images, y: labels }), or bring them to it in a map`,
  );
}

/** The tree with a tensor for each array in it: `made` ones where there were others. */
function tensors(caller: string, tree: unknown, path: string, leaves: Tensor[], made: Tensor[]): unknown {
  if (tree instanceof Tensor) {
    leaves.push(tree);
    return tree;
  }
  const flat = flatten(tree, isArray, `${caller}: ${path}`);
  const own = flat.leaves.map(({ value, path: at }) => leafOf(value, at, made));
  leaves.push(...own);
  return flat.build((index) => own[index]);
}

function leafOf(value: Column, path: string, made: Tensor[]): Tensor {
  if (value instanceof Tensor) return value;
  if (isSample(value))
    throw new SinterError(
      `${path} is a row, { data, shape [${value.shape.join()}] }, and no batch: the dataset must end with .batch(32) or the like`,
    );
  const fresh = tensor(value);
  made.push(fresh);
  return fresh;
}

function rowsOf(caller: string, leaves: readonly Tensor[]): number {
  const [first] = leaves;
  const rows = first?.shape[0];
  if (first === undefined || rows === undefined || leaves.some(({ shape }) => shape[0] !== rows))
    throw new ShapeError(
      `${caller}: x and y of a batch must have the same number of rows, but the arrays are ${leaves.map(describe).join(", ")}`,
    );
  if (rows === 0) throw new ShapeError(`${caller}: a batch has no rows: ${leaves.map(describe).join(", ")}`);
  return rows;
}
