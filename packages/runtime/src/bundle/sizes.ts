/** Symbolic sizes of a function, as the manifest writes them. */
import { type Atom, type Dim, type Graph, type IndexExpr, type Sym, sizeOf, symsIn, type Value } from "@sinter/ir";
import type { SizeEntry, SizeOp, SymbolEntry } from "./manifest.ts";
import type { FunctionSpec, SpecTree } from "./spec.ts";

/** The exact value of a size, as an expression. */
export function sizeEntry(dim: Dim): SizeEntry {
  if (typeof dim === "number") return dim;
  const terms = dim.terms.map(({ coef, atom }): SizeEntry => times(coef, atomEntry(atom)));
  if (dim.constant !== 0 || terms.length === 0) terms.push(dim.constant);
  return terms.reduce((a, b): SizeEntry => ["+", a, b]);
}

function times(coef: number, entry: SizeEntry): SizeEntry {
  return coef === 1 ? entry : ["*", coef, entry];
}

function atomEntry(atom: Atom): SizeEntry {
  const of = (op: SizeOp, a: IndexExpr, b: IndexExpr): SizeEntry => [op, sizeEntry(a), sizeEntry(b)];
  switch (atom.kind) {
    case "sym":
      return atom.sym.name;
    case "div":
      return of("/", atom.value, atom.by);
    case "mod":
      return of("%", atom.value, atom.by);
    case "mul":
      return of("*", ...atom.factors);
    case "min":
    case "max":
      return of(atom.kind, ...atom.args);
    case "axis":
    case "dyn":
      throw new Error(`${atom.key} is no size`);
    default:
      return atom satisfies never;
  }
}

/** Fields of a function's entry; none where all sizes are known. Throws where no argument tells a size. */
export function symbolsOf(f: FunctionSpec): {
  readonly sizes?: readonly SymbolEntry[];
  readonly elements?: readonly SizeEntry[];
} {
  const told = new Map<string, Sym>();
  const visit = (tree: SpecTree): void => {
    if (tree.kind === "array" || tree.kind === "object") tree.items.forEach(visit);
    if (tree.kind !== "tensor") return;
    for (const dim of tree.shape) {
      if (typeof sizeEntry(dim) === "object")
        throw new Error(`${f.name}: an argument has an axis of size ${text(dim)}`);
      symsIn(dim, told);
    }
  };
  for (const { tree } of f.params) visit(tree);
  for (const { name } of f.graph.syms)
    if (![...told.values()].some((sym) => sym.name === name))
      throw new Error(`${f.name}: no argument has the symbolic size ${name}`);
  if (told.size === 0) return {};
  const elements = new Map<string, SizeEntry>();
  countsIn(f.graph, elements);
  return {
    sizes: [...told.values()].map(({ name, lo, hi }) => ({ name, lo, hi })),
    elements: [...elements.values()],
  };
}

function text(dim: Dim): string {
  return typeof dim === "number" ? String(dim) : dim.key;
}

/** Numbers of elements of what a graph takes and computes, regions included, where they are symbolic. */
function countsIn(graph: Graph, found: Map<string, SizeEntry>): void {
  const count = ({ type }: Value): void => {
    if (type.kind !== "tensor") return;
    const size = sizeOf(type.shape);
    if (typeof size !== "number") found.set(size.key, sizeEntry(size));
  };
  for (const { value } of graph.params) count(value);
  for (const { results, regions } of graph.nodes) {
    results.forEach(count);
    for (const region of regions) countsIn(region, found);
  }
}
