/**
 * Graph IR: immutable tensor SSA with closed regions. Types and accessors only; `builder.ts` is the one way to make a
 * graph, `rebuild.ts` the one way to change one.
 */
import type { DType, TypedArray } from "./dtype.ts";
import type { Dim, Sym } from "./nest/expr.ts";

export interface TensorType {
  readonly kind: "tensor";
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}
/** Orders effects (print, assert, hostCall); carries no data. */
export interface TokenType {
  readonly kind: "token";
}
export type ValueType = TensorType | TokenType;

/** One SSA value. Ids are dense in a finished graph: parameters first, then node results in order. */
export interface Value {
  readonly id: number;
  readonly type: ValueType;
}
/** A value known to be a tensor. */
export interface TensorValue extends Value {
  readonly type: TensorType;
}

/**
 * `arg`: given at each call. `state`: a variable's value on entry. `const`: a captured tensor, the same at each call.
 */
export type ParamKind = "arg" | "state" | "const" | "token";
export interface Param {
  readonly kind: ParamKind;
  readonly name: string;
  readonly value: Value;
}
/** `state` results name the position of the state parameter they replace. */
export type GraphResult =
  | { readonly kind: "out"; readonly value: Value }
  | { readonly kind: "state"; readonly value: Value; readonly param: number }
  | { readonly kind: "token"; readonly value: Value };

export type AttrValue =
  | number
  | string
  | boolean
  | readonly number[]
  | readonly (readonly number[])[]
  | readonly string[]
  | readonly Dim[]
  | TypedArray
  | undefined;
export type Attrs = Readonly<Record<string, AttrValue>>;

/** A named run of operands (`captures`, `init`, `xs`, `state`, `token`): region ops never count operands by position. */
export interface OperandGroup {
  readonly name: string;
  readonly count: number;
}

export interface Node {
  /** Key into the op registry (`ops/index.ts`). */
  readonly op: string;
  readonly operands: readonly Value[];
  /** Empty for ops without groups; else the counts add up to the operands. */
  readonly groups: readonly OperandGroup[];
  readonly attrs: Attrs;
  readonly regions: readonly Graph[];
  readonly results: readonly Value[];
}

export interface Graph {
  readonly name: string;
  readonly syms: readonly Sym[];
  readonly params: readonly Param[];
  readonly nodes: readonly Node[];
  readonly results: readonly GraphResult[];
  /** Side table, outside identity and keys. */
  readonly debug: GraphDebug;
}
/** Source positions and names, by node position in `Graph.nodes`; a node merged by CSE has several positions. */
export interface GraphDebug {
  readonly locs: readonly (readonly Loc[])[];
}
export interface Loc {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** What the person wrote: the public function that made the node. */
  readonly name?: string;
  /** Made by reverse mode from what was written there; absent in the function itself. */
  readonly pass?: "backward";
}

export function tensorType(dtype: DType, shape: readonly Dim[]): TensorType {
  return { kind: "tensor", dtype, shape };
}
export const tokenType: TokenType = { kind: "token" };

/** The tensor type of a value; throws where the value is a token. */
export function typeOf(value: Value): TensorType {
  if (value.type.kind !== "tensor") throw new Error(`value %${value.id} is a token, not a tensor`);
  return value.type;
}

/** The operands of a named group. */
export function operandGroup(node: Node, name: string): readonly Value[] {
  let start = 0;
  for (const group of node.groups) {
    if (group.name === name) return node.operands.slice(start, start + group.count);
    start += group.count;
  }
  throw new Error(`op ${node.op} has no operand group ${name}`);
}
