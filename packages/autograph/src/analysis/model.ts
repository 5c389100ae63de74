/** What the analysis knows of a file: units, variables, static paths, and where they are read and written. */
import type { Jump, Node, SourceFile, ts } from "../syntax.ts";

/** A function, a static block, a property initialiser, or the file: what has its own `return` and its own `var`s. */
export interface Unit {
  readonly node: Node;
  readonly parent: Unit | undefined;
  /** Local variables in the order found; a variable's `index` is its place here. */
  readonly variables: Variable[];
  /** In source order. */
  readonly jumps: { readonly at: number; readonly node: Jump }[];
  /** Positions of await and yield. */
  readonly pauses: number[];
}

export interface Variable {
  readonly kind: "variable";
  readonly text: string;
  readonly unit: Unit | undefined;
  readonly index: number;
  /** The name where it is declared; undefined for globals. */
  readonly name: ts.Identifier | undefined;
  /** Where the variable begins to be: its declaration, or its function for `var` and parameters. -1: elsewhere. */
  readonly start: number;
  /** `var`, whose declaration may have to move. */
  readonly hoisted: boolean;
  /** Read or written by a function other than its own, or exported: live everywhere. */
  captured: boolean;
  /** Writes other than the declaration. */
  writes: number;
  /** The function that the name always stands for. */
  readonly functionNode: Node | undefined;
  /** From a for-of over a range: a number by its type, a tensor in truth. */
  readonly declaration: Node | undefined;
}

/** A place named by constant names, such as `this.h`, `o.x.y` or `a[0]`. */
export interface Path {
  readonly kind: "path";
  readonly text: string;
  /** Tells it from equal texts elsewhere. */
  readonly key: string;
  /** The root variable, or what `this` belongs to. */
  readonly root: Variable | Node;
  /** Keys of the shorter paths it goes through. */
  readonly prefixes: readonly string[];
}

export type Place = Variable | Path;

export interface Write {
  readonly at: number;
  readonly unit: Unit;
  /** The target expression or declared name. */
  readonly node: Node;
  /** undefined: a place that cannot be named, such as `a[i]`. */
  readonly place: Place | undefined;
  /** The root of a place that cannot be named. */
  readonly root: Variable | undefined;
  /** What is assigned, where it is one expression. */
  readonly value: ts.Expression | undefined;
  /** The operator of a compound assignment or a step. */
  readonly compound: boolean;
  readonly declares: boolean;
}

export interface Read {
  readonly at: number;
  readonly variable: Variable;
  readonly unit: Unit;
}

/** A mention of a local function, which may be called there. */
export interface Mention {
  readonly at: number;
  readonly functionNode: Node;
}

export interface FileModel {
  readonly source: SourceFile;
  readonly units: readonly Unit[];
  /** All by position. */
  readonly writes: readonly Write[];
  readonly reads: readonly Read[];
  readonly mentions: readonly Mention[];
  readonly unitOf: ReadonlyMap<Node, Unit>;
  /** Of every identifier that is read or written as a variable. */
  readonly variableOf: ReadonlyMap<Node, Variable>;
  /** Of every property and element access that is a static path. */
  pathOf(node: Node): Path | undefined;
  /** The variable or path that an expression names. */
  placeOf(node: Node): Place | undefined;
  /** Imported names of this library: local name's variable to exported name ("*" for a namespace). */
  readonly imported: ReadonlyMap<Variable, string>;
  /** Statements after a comment `@ag-ignore`, and the file itself. */
  readonly ignored: ReadonlySet<Node>;
}

/** The beginning of the keys of paths from a variable. */
export function keyOf(variable: Variable): string {
  return `${variable.text}@${variable.start}`;
}

/** The part of a list sorted by `at` that lies in [start, end). */
export function slice<T extends { readonly at: number }>(list: readonly T[], start: number, end: number): readonly T[] {
  return list.slice(lowerBound(list, start), lowerBound(list, end));
}

function lowerBound(list: readonly { readonly at: number }[], at: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.at < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
