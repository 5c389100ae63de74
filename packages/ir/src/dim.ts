/** Values of indices and sizes. Imports types only: what runs finished programs evaluates symbolic sizes too. */
import type { Atom, Dim, IndexExpr } from "./nest/expr.ts";

/** Value of an index, given values of its axes, syms and data. */
export function evalIndex(e: IndexExpr, env: (atom: Atom) => number): number {
  let out = e.constant;
  for (const { coef, atom } of e.terms) out += coef * evalAtom(atom, env);
  return out;
}
function evalAtom(atom: Atom, env: (atom: Atom) => number): number {
  switch (atom.kind) {
    case "axis":
    case "sym":
    case "dyn":
      return env(atom);
    case "div":
      return Math.floor(evalIndex(atom.value, env) / evalIndex(atom.by, env));
    case "mod": {
      const by = evalIndex(atom.by, env);
      const value = evalIndex(atom.value, env);
      return value - by * Math.floor(value / by);
    }
    case "mul":
      return evalIndex(atom.factors[0], env) * evalIndex(atom.factors[1], env);
    case "min":
      return Math.min(evalIndex(atom.args[0], env), evalIndex(atom.args[1], env));
    case "max":
      return Math.max(evalIndex(atom.args[0], env), evalIndex(atom.args[1], env));
    default:
      return atom satisfies never;
  }
}

/** The value of a size, given those of the symbolic ones. */
export function dimValue(dim: Dim, sizes: ReadonlyMap<string, number>): number {
  if (typeof dim === "number") return dim;
  return evalIndex(dim, (atom) => {
    const size = atom.kind === "sym" ? sizes.get(atom.sym.name) : undefined;
    if (size === undefined) throw new Error(`the symbolic size ${atom.key} has no value here`);
    return size;
  });
}
