// Arguments for graphs written as text.
import { type Graph, type HostTensor, isFloat, typeOf } from "@sinter/ir";
import { randomTensor, seededRng } from "./random.ts";

export interface ArgumentOptions {
  readonly seed?: number;
  /** Whole numbers in floats too, so that sums come out exactly in whatever order they are taken. */
  readonly whole?: boolean;
  /** Values of floats and integers; unsigned ones start at 0. */
  readonly lo?: number;
  readonly hi?: number;
  /** Ranges of single parameters, by name. */
  readonly ranges?: Readonly<Record<string, readonly [number, number]>>;
}

/** Random contents for every parameter of a graph. */
export function randomArguments(graph: Graph, options: ArgumentOptions = {}): HostTensor[] {
  const rng = seededRng(options.seed ?? 1);
  return graph.params.map(({ value, name }) => {
    const type = typeOf(value);
    const unsigned = type.dtype === "u32" || type.dtype === "bool";
    const [lo, hi] = options.ranges?.[name] ?? [unsigned ? 0 : (options.lo ?? -4), options.hi ?? 4];
    const made = randomTensor(rng, { type, lo, hi: type.dtype === "bool" ? 1 : hi });
    if (options.whole === true && isFloat(type.dtype))
      for (const [i, x] of made.data.entries()) made.data[i] = Math.round(x);
    return made;
  });
}
