/** Reads `dispatch.json` and `kernels.wgsl`: makes of them the programs that the executor takes. */
import type { Dim, WebgpuProgram } from "@sinter/ir/program";
import { type DispatchFunction, type DispatchPlan, shaderHead } from "../dispatch.ts";
import type { SizeEntry } from "../manifest.ts";

/** The code of each shader. */
export function shadersIn(kernels: string): string[] {
  return kernels.split(new RegExp(`^${shaderHead}\\d+\n`, "m")).slice(1);
}

/** The program of a function. Its constants come in through slots. */
export function programOf(
  { shaders, constants, ...rest }: DispatchFunction,
  plan: DispatchPlan,
  codes: readonly string[],
): WebgpuProgram {
  return {
    ...(sizesIn(rest) as Omit<WebgpuProgram, "kind" | "shaders" | "constants">),
    kind: "webgpu",
    shaders: shaders.map((position) => ({ ...plan.shaders[position]!, code: codes[position]! })),
    constants: [],
  };
}

/** Plain data with sizes as the executor has them. */
function sizesIn(value: unknown): unknown {
  const visit = (at: unknown): unknown => {
    if (Array.isArray(at)) return at.map(visit);
    if (typeof at !== "object" || at === null) return at;
    if ("size" in at) return exprOf((at as { readonly size: SizeEntry }).size);
    return Object.fromEntries(Object.entries(at).map(([key, item]) => [key, visit(item)]));
  };
  return visit(value);
}

/** What an expression must have to be evaluated. */
interface Evaluable {
  readonly constant: number;
  readonly terms: readonly { readonly coef: number; readonly atom: object }[];
}

function exprOf(size: SizeEntry): Dim {
  return evaluable(size) as unknown as Dim;
}

function evaluable(size: SizeEntry): Evaluable {
  if (typeof size === "number") return { constant: size, terms: [] };
  if (typeof size === "string") return atom({ kind: "sym", sym: { name: size }, key: size });
  const [op, a, b] = size;
  const [first, second] = [evaluable(a), evaluable(b)];
  switch (op) {
    case "+":
      return { constant: first.constant + second.constant, terms: [...first.terms, ...second.terms] };
    case "*":
      return atom({ kind: "mul", factors: [first, second] });
    case "/":
    case "%":
      return atom({ kind: op === "/" ? "div" : "mod", value: first, by: second });
    default:
      return atom({ kind: op, args: [first, second] });
  }
}

function atom(of: object): Evaluable {
  return { constant: 0, terms: [{ coef: 1, atom: of }] };
}
