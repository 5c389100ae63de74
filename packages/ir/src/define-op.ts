/**
 * What an op is: one `defineOp` entry with every field required, so that adding an op is one entry and its test. The
 * passes ask these fields; outside `ops/` nobody switches on an op's name.
 */
import type { DType, TypedArray } from "./dtype.ts";
import type { Attrs, AttrValue, Graph, OperandGroup, TensorType, Value, ValueType } from "./graph.ts";
import type { HostCall, HostFunction } from "./host-call.ts";
import type { Dim, IndexExpr, Range, ScalarExpr } from "./nest/expr.ts";
import type { Accumulator, Carry, Combine, LibraryLoops } from "./nest/nest.ts";

/** Contents of a tensor on the host: what the reference evaluator works on. */
export interface HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/** What rules use to make nodes; `Builder` implements it (inference, folding and hash-consing happen inside). */
export interface Emitter {
  /** The only result of an op with one result. */
  emit(op: string, operands: readonly Value[], attrs?: Attrs): Value;
  emitAll(op: string, operands: readonly Value[], attrs?: Attrs): readonly Value[];
  /** A rank-0 constant. */
  scalar(dtype: DType, value: number): Value;
  /** The constant a value holds, where it is one (any shape; at most 64 elements are kept foldable). */
  constantOf(value: Value): HostTensor | undefined;
  /** The node that made a value, unless it is a parameter. */
  definition(
    value: Value,
  ): { readonly op: string; readonly operands: readonly Value[]; readonly attrs: Attrs } | undefined;
  /** Whether rewrites that can change a float result are allowed. */
  readonly fastMath: boolean;
}

/** How an attribute prints and parses. */
export type AttrKind = "int" | "float" | "bool" | "name" | "texts" | "ints" | "intLists" | "dims" | "data" | "dtype";

/**
 * A rewrite at construction: returns a value that replaces the result, or undefined. Directional: what it returns is
 * never worse. `fast` rules can change a float result and apply only where fast math is asked for.
 */
export interface FoldRule<A extends Attrs> {
  readonly name: string;
  readonly fast?: boolean;
  apply(b: Emitter, operands: readonly Value[], attrs: A): Value | undefined;
}

/** What a derivative rule sees of the node. */
export interface DerivativeContext<A extends Attrs> {
  readonly operands: readonly Value[];
  readonly results: readonly Value[];
  readonly attrs: A;
}

/** null stands for zero. */
export type MaybeValue = Value | null;

export type Derivative<A extends Attrs> =
  /** d result / d operand, element by element. Entries of rank 0 or the result's shape; null where it is zero. */
  | { readonly kind: "elementwise"; partials(b: Emitter, ctx: DerivativeContext<A>): readonly MaybeValue[] }
  /** Linear in all its float operands together: the jvp is the op itself on tangents. */
  | {
      readonly kind: "linear";
      transpose(b: Emitter, cotangents: readonly MaybeValue[], ctx: DerivativeContext<A>): readonly MaybeValue[];
    }
  /** Linear in each float operand alone: the jvp is the sum over operands. */
  | {
      readonly kind: "multilinear";
      transpose(b: Emitter, cotangent: Value, ctx: DerivativeContext<A>, operand: number): Value;
    }
  | {
      readonly kind: "custom";
      vjp(b: Emitter, cotangents: readonly MaybeValue[], ctx: DerivativeContext<A>): readonly MaybeValue[];
      jvp(b: Emitter, tangents: readonly MaybeValue[], ctx: DerivativeContext<A>): readonly MaybeValue[];
    }
  /** The result does not vary with its operands in the sense of calculus (integers, comparisons, constants). */
  | { readonly kind: "none"; readonly reason: string };

/**
 * How the op acts on operands with one more, leading, batch axis (`batched[i]` says which have it). Returns results
 * that all have the batch axis in front.
 */
export interface BatchContext<A extends Attrs> {
  readonly operands: readonly Value[];
  readonly batched: readonly boolean[];
  readonly size: Dim;
  readonly attrs: A;
}
export type BatchRule<A extends Attrs> = (b: Emitter, ctx: BatchContext<A>) => readonly Value[];

/** What a nest rule knows: types and attributes, never values. */
export interface NestContext<A extends Attrs> {
  readonly attrs: A;
  readonly operands: readonly TensorType[];
  readonly results: readonly TensorType[];
  /** Position of the node in its graph: tells apart what several nodes of one op make. */
  readonly node?: number;
  /** Of ops with regions. */
  readonly regions?: readonly Graph[];
  readonly groups?: readonly OperandGroup[];
}
/** The element of an operand at a position: a buffer read, or the producer's own expression where it is fused. */
export type Read = (operand: number, index: readonly IndexExpr[]) => ScalarExpr;

/**
 * The op as loops. `map` rules are pull functions: the element of the result at an index, in terms of elements of the
 * operands; so inlining a producer is calling its rule.
 */
export type NestRule<A extends Attrs> =
  | {
      readonly kind: "map";
      /** Nothing moves or merges through it: it is computed where it stands. */
      readonly fence?: true;
      value(ctx: NestContext<A>, index: readonly IndexExpr[], read: Read, result: number): ScalarExpr;
    }
  | {
      /** `par` has the result's rank. A contraction is a reduce whose one accumulator adds a product. */
      readonly kind: "reduce";
      red(ctx: NestContext<A>): readonly Dim[];
      accumulators(
        ctx: NestContext<A>,
        par: readonly IndexExpr[],
        red: readonly IndexExpr[],
        read: Read,
      ): readonly Accumulator[];
      /** The result in terms of the accumulators' final values. */
      value(
        ctx: NestContext<A>,
        acc: (accumulator: number, component: number) => ScalarExpr,
        result: number,
      ): ScalarExpr;
    }
  | {
      /** Steps along result axis `axis` in order (backwards where `reverse`), carrying scalars. */
      readonly kind: "cumulate";
      axis(ctx: NestContext<A>): number;
      reverse(ctx: NestContext<A>): boolean;
      step(
        ctx: NestContext<A>,
        index: readonly IndexExpr[],
        carry: (slot: number) => ScalarExpr,
        read: Read,
      ): { readonly carries: readonly Carry[]; readonly value: ScalarExpr };
    }
  | {
      /** Result starts as operand 0, then each point of `domain` writes one element (in order where it combines). */
      readonly kind: "update";
      domain(ctx: NestContext<A>): readonly Dim[];
      store(
        ctx: NestContext<A>,
        point: readonly IndexExpr[],
        read: Read,
      ): {
        readonly index: readonly IndexExpr[];
        readonly value: ScalarExpr;
        readonly combine?: Combine;
        readonly guard?: readonly Range[];
      };
    }
  | {
      /**
       * A kernel of its own, written in Loop IR once for every target, for what loops over named axes cannot say (sorting,
       * factorisations). Never fused: operands and results are whole tensors in memory.
       */
      readonly kind: "library";
      /** `name` is the kernel's: the entry's name, and the beginning of the names of its other functions. */
      build(ctx: NestContext<A>, name: string): LibraryLoops;
    }
  /** A step that asks whoever runs the program; the status is the first operand and the first result. */
  | { readonly kind: "host"; call(ctx: NestContext<A>): HostCall }
  /** Its regions become steps of the program; `form` says how they run. */
  | { readonly kind: "control"; readonly form: ControlForm };

/** Once, one of several by an index, for as long as a test holds, or along an axis. */
export type ControlForm = "call" | "cond" | "while" | "scan";

/** An operand that holds positions along an axis of another: from 0 to `last`, and what lies outside clamps. */
export interface IndexBound {
  readonly operand: number;
  readonly axis: number;
  /** The operand that the axis belongs to. */
  readonly of: number;
  readonly last: Dim;
}

/** The `bounds` of ops that read and write at no position out of data. */
export const noBounds = (): readonly IndexBound[] => [];

/** Which elements of an operand are used, where only some of the result are. */
export type DemandRule<A extends Attrs> =
  /** All of each operand, or it cannot be told. */
  | { readonly kind: "all" }
  /** An element of the result is made of the same elements of the operands. */
  | { readonly kind: "same" }
  /**
   * Elements of the result are elements of operands. `used` turns a mask of the result (bool, of its shape or of rank 0)
   * into one of the operand's; operands in `whole` decide which elements are taken, and count as all used.
   */
  | {
      readonly kind: "pick";
      readonly whole: readonly number[];
      used(b: Emitter, mask: Value, ctx: DemandContext<A>, operand: number): Value;
    };
export interface DemandContext<A extends Attrs> {
  readonly operands: readonly Value[];
  readonly attrs: A;
}

/** The `demand` of ops whose result elements depend on more than their own places. */
export const demandsAll = { kind: "all" } as const;
/** The `demand` of ops that work element by element. */
export const demandsSame = { kind: "same" } as const;

/** One random instance of the op, for the fuzzers. Operands are described by type and by the range of their values. */
export interface SampledOp<A extends Attrs> {
  readonly operands: readonly SampledOperand[];
  readonly attrs: A;
}
export interface SampledOperand {
  readonly type: TensorType;
  /** Values are drawn from lo..hi (integers for integer dtypes); `away` keeps that distance from each listed point, where the op is not smooth. */
  readonly lo: number;
  readonly hi: number;
  readonly away?: readonly number[];
  /** Values must differ from each other (max, argMax, sort). */
  readonly distinct?: boolean;
}
/** Randomness for samplers: seeded, so that a failure repeats. */
export interface Rng {
  /** Integer in lo..hi, both included. */
  int(lo: number, hi: number): number;
  real(lo: number, hi: number): number;
  pick<T>(items: readonly T[]): T;
  bool(): boolean;
  /** A shape of rank lo..hi with sizes that include 1, odd numbers and sizes past a vector. */
  shape(minRank: number, maxRank: number): number[];
}

export interface OpDef<A extends Attrs = Attrs> {
  readonly name: string;
  /** One sentence: what the result is. */
  readonly doc: string;
  readonly attrs: { readonly [K in keyof A]-?: AttrKind };
  /** Names of operand groups, for region ops. */
  readonly groups: readonly string[];
  /** It acts: neither folded, merged nor moved. What keeps it is its status, which all that comes after it takes. */
  readonly effect: boolean;
  /** Scalar work per element of the result, in units of one multiplication (movement 0, add 1, exp about 12). */
  cost(ctx: NestContext<A>): number;
  /** Result types; throws `TypeRuleError` naming operands and shapes. */
  type(
    operands: readonly ValueType[],
    attrs: A,
    regions: readonly Graph[],
    groups: readonly OperandGroup[],
  ): readonly ValueType[];
  /** Slow, obvious, rounding to the dtype at each op: oracle and constant folder. */
  eval(
    operands: readonly HostTensor[],
    attrs: A,
    types: readonly TensorType[],
    regions: EvalRegions,
  ): readonly HostTensor[];
  readonly fold: readonly FoldRule<A>[];
  readonly derivative: Derivative<A>;
  batch(b: Emitter, ctx: BatchContext<A>): readonly Value[];
  readonly nest: NestRule<A>;
  /** Largest difference between backends, in ulp of the result (0: bit for bit). Reductions scale it by their length. */
  readonly ulp: number;
  /** Its operands that are positions out of data, which debug builds check. `noBounds` where there are none. */
  bounds(ctx: NestContext<A>): readonly IndexBound[];
  /** By which debug builds know that what `where` leaves out counts for nothing. */
  readonly demand: DemandRule<A>;
  sample(rng: Rng): SampledOp<A>;
}
/** What `eval` has besides values: how to run the regions of an op, and who answers its calls. */
export interface EvalRegions {
  readonly host?: HostFunction | undefined;
  readonly graphs: readonly Graph[];
  readonly groups: readonly OperandGroup[];
  run(region: number, args: readonly HostTensor[]): readonly HostTensor[];
}

/** Thrown by type rules; the tracer adds the user's names and line. */
export class TypeRuleError extends Error {
  override readonly name = "TypeRuleError";
}

/** Fixes the attribute type of an entry; the entry itself is plain data. */
export function defineOp<A extends Attrs>(def: OpDef<A>): OpDef<A> {
  return def;
}

export type { AttrValue };
