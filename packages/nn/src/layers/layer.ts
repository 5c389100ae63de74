/** What layers have in common: a name, and variables that are made when the size of the input is known. */
import type { DType } from "@sinter/ir";
import { DTypeError, ShapeError, SinterError, type Tensor, type Variable, variable } from "@sinter/tracer";
import { checkOptions, describeValue } from "@sinter/tracer/errors";
import type { Initializer } from "../init.ts";
import { type CallOptions, Module } from "../module.ts";
import type { Regularizer } from "../regularizers.ts";
import { nextKey } from "../seed.ts";

export interface LayerOptions {
  /** What its variables are called in dumps and messages; "dense_3" and the like where it is not given. */
  readonly name?: string;
}

const counts = new Map<string, number>();

/** A module from a tensor to a tensor. */
export abstract class Layer extends Module {
  readonly name: string;
  /** What a weight costs, by the weight. */
  private readonly costs: (readonly [Regularizer, Variable])[] = [];

  constructor(kind: string, options: LayerOptions, known: readonly string[]) {
    super();
    checkOptions(`nn.${kind}`, options, ["name", ...known]);
    const count = counts.get(kind) ?? 0;
    counts.set(kind, count + 1);
    // "LSTM" to "lstm", "Conv2d" to "conv2d".
    const usual = kind.replace(/^[A-Z]+(?![a-z])|^[A-Z]/, (start) => start.toLowerCase());
    this.name = options.name ?? `${usual}_${count}`;
  }

  abstract call(x: Tensor, options?: CallOptions): Tensor;

  /** A variable of the layer with its first value. */
  protected parameter(
    field: string,
    shape: readonly number[],
    init: Initializer,
    { trainable = true, dtype = "f32" as DType, regularizer }: ParameterOptions = {},
  ): Variable {
    const made = variable(init(nextKey(), shape, dtype), { name: `${this.name}.${field}`, trainable });
    if (regularizer !== undefined) this.costs.push([regularizer, made]);
    return made;
  }

  /** What `body` gives; errors of sizes and types in it say which layer they are of. */
  protected named<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      for (const Kind of [ShapeError, DTypeError])
        if (error instanceof Kind)
          throw new Kind(
            `${this.name}: ${error.message}`,
            error.where === undefined ? undefined : { place: error.where },
          );
      throw error;
    }
  }

  protected override penalties(): Tensor[] {
    return this.costs.map(([regularizer, weight]) => regularizer(weight.value));
  }
}

interface ParameterOptions {
  readonly trainable?: boolean;
  readonly dtype?: DType;
  readonly regularizer?: Regularizer | undefined;
}

/** A size that a layer is asked for. Throws a SinterError that names it. */
export function checkCount(caller: string, name: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
  throw new SinterError(`${caller}: ${name} must be a whole number above 0, not ${describeValue(value)}`);
}

/** One size for each of `count` axes, given as a number for all or one for each. Throws a SinterError that names it. */
export function checkCounts(caller: string, name: string, value: unknown, count: number): readonly number[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : new Array(count).fill(value);
  if (list.length !== count)
    throw new SinterError(
      `${caller}: ${name} must be a number${count > 1 ? ` or ${count} of them` : ""}, not ${describeValue(value)}`,
    );
  return list.map((entry) => checkCount(caller, name, entry));
}
