/**
 * What calculus of control flow is built from: the transformations of whole graphs, as parameters, since they call the
 * rules of control flow in turn; and small helpers over lists of values.
 */
import type { Builder, Graph, MaybeValue, Value } from "@sinter/ir";
import { addParam } from "./region-op.ts";

export type Vjp = (
  b: Builder,
  graph: Graph,
  args: readonly Value[],
  cotangentsOf: (results: readonly Value[]) => readonly MaybeValue[],
  wrt: readonly number[],
  /** `known`: values of the graph that need not be computed. `again`: all of it has been computed before. */
  options?: { readonly known?: ReadonlyMap<Value, Value>; readonly again?: boolean },
) => { readonly gradients: readonly Value[] };

export type Jvp = (
  b: Builder,
  graph: Graph,
  args: readonly Value[],
  tangents: readonly MaybeValue[],
) => { readonly results: readonly Value[]; readonly tangents: readonly MaybeValue[] };

/** A region op on the forward pass of reverse mode, and its way back. */
export interface Forward {
  readonly results: readonly Value[];
  /** Cotangents of the operands; `wanted` says which are asked for. */
  pull(cotangents: readonly MaybeValue[], wanted: readonly boolean[]): readonly MaybeValue[];
}

/** Parameters like these values; `names` are of those that they stand for, or one name for all. */
export function addParams(c: Builder, like: readonly Value[], names: string | readonly string[]): readonly Value[] {
  return like.map((value, i) => addParam(c, value.type, typeof names === "string" ? names : names[i]!));
}

/** The names of a region's parameters: what stands for one of them goes by the same name. */
export function namesOf(region: Graph): readonly string[] {
  return region.params.map((param) => param.name);
}

export function positions<T>(items: readonly T[], test: (item: T, position: number) => boolean): number[] {
  return items.flatMap((item, i) => (test(item, i) ? [i] : []));
}

/** A list as long as `like` with `values` at `places` and null elsewhere. */
export function scatterTo(like: readonly unknown[], places: readonly number[], values: readonly Value[]): MaybeValue[] {
  const out: MaybeValue[] = like.map(() => null);
  places.forEach((place, i) => {
    out[place] = values[i]!;
  });
  return out;
}
