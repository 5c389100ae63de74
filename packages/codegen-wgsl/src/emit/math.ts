/** Transcendental functions expanded from the math library without 64-bit types. */
import { type LoopExpr, type MathBuilder, type MathName, mathBuilder, mathF32 } from "@sinter/ir";
import { powF32 } from "./pow.ts";

type E = LoopExpr;
type Builder = MathBuilder<E>;
type MathFunction = (b: Builder, ...args: E[]) => E;

/** A helper of the module as an operation. */
const helper = (name: string, x: E): E => ({ kind: "op", type: x.type, op: name, args: [x] });

/** The builder with another path for arguments that are too large for the fast one. */
const withSlow = (b: Builder, slow: (fast: E) => E): Builder => ({
  ...b,
  rarely: (mask, fast) => {
    const value = slow(fast);
    return value === fast ? fast : b.rarely(mask, fast, () => value);
  },
});

/** Whether a sum would be reassociated with one more constant. */
const isSum = (e: E): boolean => e.kind === "op" && (e.op === "add" || e.op === "sub" || e.op === "fma");

/**
 * The builder whose sums keep their order: WGSL lets compilers fold `(x + c) - c`, which the library rounds by. They
 * cannot where a part has gone through an operation on bits with a word that only the dispatch knows.
 */
function inOrder(b: Builder): Builder {
  const exact = (e: E, beside: E): E => (beside.kind === "const" && isSum(e) ? helper("exact", e) : e);
  return {
    ...b,
    add: (x, y) => b.add(exact(x, y), exact(y, x)),
    sub: (x, y) => b.sub(exact(x, y), exact(y, x)),
  };
}

/** Those that the library computes by way of f64, which does not exist on the device. */
const narrow: Readonly<Record<string, MathFunction>> = {
  sin: (b, x) =>
    mathF32.sin(
      withSlow(b, () => helper("sineArgument", x!)),
      x!,
    ),
  cos: (b, x) =>
    mathF32.cos(
      withSlow(b, () => helper("cosineArgument", x!)),
      x!,
    ),
  tan: (b, x) =>
    mathF32.tan(
      withSlow(b, () => helper("wideTangent", x!)),
      x!,
    ),
  smallTangent: (b, x) =>
    mathF32.tan(
      withSlow(b, (fast) => fast),
      x!,
    ),
  pow: (b, x, y) => powF32(b, x!, y!),
};

/** What a function of the library is of arguments of so many lanes. */
export function mathValue(op: string, lanes: number, args: E[]): E {
  const functionOf = narrow[op] ?? (mathF32[op as MathName] as MathFunction);
  return functionOf(inOrder(mathBuilder(lanes)), ...args);
}
