/**
 * Functions and variables of a model by their paths of attributes: `predict`, `layers.0.w`. A model is an object, of a
 * class or plain, with compiled functions and variables among its properties, also inside arrays and further objects.
 */
import { describeValue, SinterError } from "../errors.ts";
import { tracedFunction } from "../function.ts";
import { Tensor } from "../tensor.ts";
import { isPlainObject } from "../trees.ts";
import { Variable } from "../variable.ts";

/** Where functions and variables stand in a model, without what else is in it. */
export type Attribute =
  | { readonly kind: "function"; readonly path: string }
  | { readonly kind: "variable"; readonly path: string }
  | { readonly kind: "array"; readonly items: readonly (Attribute | null)[] }
  | { readonly kind: "object"; readonly keys: readonly string[]; readonly items: readonly Attribute[] };

export interface Attributes {
  readonly tree: Extract<Attribute, { kind: "array" | "object" }>;
  /** By the path that leads to each first. */
  readonly functions: ReadonlyMap<string, unknown>;
  readonly variables: ReadonlyMap<string, Variable>;
  /** By further paths through plain objects only, where somebody wrote them down. */
  readonly aliases: ReadonlyMap<string, unknown>;
  /** What else such objects hold, by its path. */
  readonly others: ReadonlyMap<string, unknown>;
}

/** Walks a model. A function or variable that is there twice has its first path in both places. */
export function attributesOf(caller: string, model: unknown): Attributes {
  if (typeof model !== "object" || model === null || model instanceof Variable || model instanceof Tensor)
    throw new SinterError(
      `${caller}: model must be an object with compiled functions and variables, such as { predict, layers }, not ${describeValue(model)}`,
    );
  const functions = new Map<string, unknown>();
  const variables = new Map<string, Variable>();
  const aliases = new Map<string, unknown>();
  const others = new Map<string, unknown>();
  const paths = new Map<unknown, string>();
  const first = (value: unknown, path: string, note: () => void): string => {
    const known = paths.get(value);
    if (known !== undefined) return known;
    paths.set(value, path);
    note();
    return path;
  };
  /** `plain`: all objects around it are. */
  const visit = (value: unknown, path: string, around: readonly unknown[], plain: boolean): Attribute | undefined => {
    if (value instanceof Variable)
      return { kind: "variable", path: first(value, path, () => variables.set(path, value)) };
    if (tracedFunction(value) !== undefined) {
      if (plain && paths.has(value)) aliases.set(path, value);
      return { kind: "function", path: first(value, path, () => functions.set(path, value)) };
    }
    if (typeof value !== "object" || value === null || value instanceof Tensor || ArrayBuffer.isView(value))
      return undefined;
    if (around.includes(value)) return undefined;
    const inner = [...around, value];
    const below = (key: string): string => (path === "" ? key : `${path}.${key}`);
    if (Array.isArray(value)) {
      const items = value.map((item, i) => visit(item, below(String(i)), inner, false) ?? null);
      return items.some((item) => item !== null) ? { kind: "array", items } : undefined;
    }
    const written = plain && isPlainObject(value);
    const found = Object.entries(value).flatMap(([key, item]) => {
      const attribute = visit(item, below(key), inner, written);
      if (attribute === undefined && written && !isPlainObject(item)) others.set(below(key), item);
      return attribute === undefined ? [] : [{ key, attribute }];
    });
    if (found.length === 0) return undefined;
    return { kind: "object", keys: found.map(({ key }) => key), items: found.map(({ attribute }) => attribute) };
  };
  const tree = visit(model, "", [], true);
  return {
    tree: tree?.kind === "array" || tree?.kind === "object" ? tree : { kind: "object", keys: [], items: [] },
    functions,
    variables,
    aliases,
    others,
  };
}

/** The structure again, with what `leaf` gives for the path of each function and variable. */
export function build(attribute: Attribute, leaf: (kind: "function" | "variable", path: string) => unknown): unknown {
  switch (attribute.kind) {
    case "function":
    case "variable":
      return leaf(attribute.kind, attribute.path);
    case "array":
      return attribute.items.map((item) => (item === null ? undefined : build(item, leaf)));
    case "object":
      return Object.fromEntries(attribute.keys.map((key, i) => [key, build(attribute.items[i]!, leaf)]));
    default:
      return attribute satisfies never;
  }
}
