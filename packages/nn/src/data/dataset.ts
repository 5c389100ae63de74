/**
 * Datasets: what is gone through epoch by epoch. Every element can be computed from the number of the epoch and its own,
 * so that an interrupted epoch goes on in its middle at no cost, and two runs see the same.
 */
import { SinterError, Tensor } from "@sinter/tracer";
import { checkOptions, describeValue } from "@sinter/tracer/errors";
import { Random } from "./random.ts";
import { type BatchOf, type Columns, columnsOf, gatherRows, type RowOf, rowOf, stackRows } from "./samples.ts";

/** Elements by number, in one epoch. */
type Epoch<T> = (index: number) => T | Promise<T>;

interface Source<T> {
  /** Elements of an epoch; Infinity where it never ends. */
  readonly size: number;
  open(epoch: number): Epoch<T>;
  /** Where elements are rows of columns as they are: which rows. */
  readonly rows?: { readonly columns: Columns; open(epoch: number): (index: number) => number };
}

/** What a `map` is told beside the element. */
export interface MapContext {
  readonly epoch: number;
  /** Number of the element in the epoch. */
  readonly index: number;
  /** Random numbers of this element: the same in every run. */
  readonly random: Random;
}

export interface BatchOptions {
  /** Whether the last batch is left out where it would be smaller. */
  readonly dropRemainder?: boolean;
}

/** Elements, epoch after epoch. Every method gives a new dataset and reads nothing; iterating reads. */
export class Dataset<T> implements AsyncIterable<T> {
  private readonly source: Source<T>;
  private readonly ahead: number;
  private epochs = 0;

  /** Not for direct use: `data.fromArrays` makes datasets. */
  constructor(source: Source<T>, ahead = 0) {
    this.source = source;
    this.ahead = ahead;
  }

  /** Elements of an epoch. */
  get size(): number {
    return this.source.size;
  }

  /** The elements of the next epoch: the first time that of epoch 0. */
  [Symbol.asyncIterator](): AsyncGenerator<T> {
    return this.iterate(this.epochs++);
  }

  /** The elements of an epoch, from one on. */
  async *iterate(epoch = 0, from = 0): AsyncGenerator<T> {
    const at = this.source.open(epoch);
    const started: (T | Promise<T>)[] = [];
    for (let i = from; i < this.size; i++) {
      while (started.length < this.ahead && i + started.length < this.size) started.push(at(i + started.length));
      const element = started.length > 0 ? started.shift()! : at(i);
      yield element instanceof Promise ? await element : element;
    }
  }

  /**
   * In another order each epoch, which follows from `seed` and the number of the epoch. Elements are drawn from the next
   * `buffer` ones; from all where these are not more.
   */
  shuffle(buffer: number, seed = 0): Dataset<T> {
    whole("shuffle", "buffer", buffer);
    if (this.size === Number.POSITIVE_INFINITY)
      throw new SinterError("shuffle: the dataset repeats without end; shuffle before repeat");
    return this.ordered(this.size, (epoch) => {
      const order = shuffled(this.size, buffer, new Random(seed, epoch));
      return (i) => order[i]!;
    });
  }

  /** The first `count` elements. */
  take(count: number): Dataset<T> {
    return this.ordered(Math.min(whole("take", "count", count), this.size), () => (i) => i);
  }

  /** All but the first `count` elements. */
  skip(count: number): Dataset<T> {
    return this.ordered(Math.max(0, this.size - whole("skip", "count", count)), () => (i) => i + count);
  }

  /** Each element through `f`, which may give a promise. Rows are given as they lie in the columns: make new arrays. */
  map<U>(f: (element: T, context: MapContext) => U | Promise<U>, { seed = 0 } = {}): Dataset<U> {
    if (typeof f !== "function") throw new SinterError(`map: f must be a function, not ${describeValue(f)}`);
    const { source } = this;
    return new Dataset({
      size: source.size,
      open(epoch) {
        const at = source.open(epoch);
        return (index) => {
          const context = { epoch, index, random: new Random(seed, epoch, index) };
          const element = at(index);
          return element instanceof Promise ? element.then((found) => f(found, context)) : f(element, context);
        };
      },
    });
  }

  /** So many elements at a time, stacked to tensors. The last batch may be smaller. */
  batch(count: number, options: BatchOptions = {}): Dataset<BatchOf<T>> {
    checkOptions("batch", options, ["dropRemainder"]);
    if (whole("batch", "count", count) === 0) throw new SinterError("batch: count must be above 0");
    const { source } = this;
    const batches = source.size / count;
    return new Dataset({
      size: options.dropRemainder === true ? Math.floor(batches) : Math.ceil(batches),
      open(epoch) {
        const range = (index: number): number[] => {
          const first = index * count;
          return Array.from({ length: Math.min(count, source.size - first) }, (_, i) => first + i);
        };
        const { rows } = source;
        if (rows !== undefined) {
          const row = rows.open(epoch);
          return (index) => gatherRows(rows.columns, range(index).map(row)) as BatchOf<T>;
        }
        const at = source.open(epoch);
        return (index) => {
          const elements = range(index).map(at);
          const stacked = (found: readonly unknown[]): BatchOf<T> =>
            stackRows("batch", found, index * count) as BatchOf<T>;
          return elements.some((element) => element instanceof Promise)
            ? Promise.all(elements).then(stacked)
            : stacked(elements);
        };
      },
    });
  }

  /** The elements so many times over, or without end: one epoch of what this gives has several of this dataset. */
  repeat(times = Number.POSITIVE_INFINITY): Dataset<T> {
    if (times !== Number.POSITIVE_INFINITY) whole("repeat", "times", times);
    if (this.size === 0) throw new SinterError("repeat: the dataset is empty, and stays so");
    const { source } = this;
    const cycled =
      <E>(open: (epoch: number) => (index: number) => E) =>
      (epoch: number) => {
        let [current, at] = [-1, undefined as unknown as (index: number) => E];
        return (index: number): E => {
          const cycle = (times === Number.POSITIVE_INFINITY ? 0 : epoch * times) + Math.floor(index / source.size);
          if (cycle !== current) [current, at] = [cycle, open(cycle)];
          return at(index % source.size);
        };
      };
    const { rows } = source;
    return new Dataset({
      size: source.size * times,
      open: cycled((epoch) => source.open(epoch)),
      ...(rows === undefined ? {} : { rows: { columns: rows.columns, open: cycled((epoch) => rows.open(epoch)) } }),
    });
  }

  /** Begins so many elements before they are asked for: what a map waits for, it waits for meanwhile. */
  prefetch(count = 2): Dataset<T> {
    return new Dataset(this.source, whole("prefetch", "count", count));
  }

  private ordered(size: number, order: (epoch: number) => (index: number) => number): Dataset<T> {
    const { source } = this;
    const through =
      <E>(open: (epoch: number) => (index: number) => E) =>
      (epoch: number) => {
        const [at, place] = [open(epoch), order(epoch)];
        return (index: number): E => at(place(index));
      };
    const { rows } = source;
    return new Dataset({
      size,
      open: through((epoch) => source.open(epoch)),
      ...(rows === undefined ? {} : { rows: { columns: rows.columns, open: through((epoch) => rows.open(epoch)) } }),
    });
  }
}

/**
 * The rows of arrays: `fromArrays({ images, labels })`, or any tree of nested arrays, typed arrays, { data, shape } and
 * tensors, whose first axes have the same size. Elements are trees of { data, shape }.
 */
export function fromArrays<S>(arrays: S): Dataset<RowOf<S>> {
  const columns = columnsOf("data.fromArrays", arrays);
  return new Dataset({
    size: columns.rows,
    open: () => (index) => rowOf(columns, index) as RowOf<S>,
    rows: { columns, open: () => (index) => index },
  });
}

/** An order of the numbers below `count`, each drawn from the next `buffer`. */
function shuffled(count: number, buffer: number, random: Random): Uint32Array {
  const order = new Uint32Array(count);
  const window = Math.max(1, Math.min(buffer, count));
  const held = Uint32Array.from({ length: window }, (_, i) => i);
  let filled = Math.min(window, count);
  for (let i = 0; i < count; i++) {
    const pick = random.below(filled);
    order[i] = held[pick]!;
    const next = i + window;
    if (next < count) held[pick] = next;
    else held[pick] = held[--filled]!;
  }
  return order;
}

function whole(caller: string, name: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new SinterError(`${caller}: ${name} must be a whole number from 0 on, not ${describeValue(value)}`);
}

/** Lets go of the tensors of an element. */
export function disposeElement(element: unknown): void {
  if (element instanceof Tensor) element.dispose();
  else if (typeof element === "object" && element !== null) Object.values(element).forEach(disposeElement);
}
