/**
 * The recorded calls of a bundle's self-test: each function is called as the compiled function it is, and afterwards every
 * variable has the value it had.
 */
import { allocate, dimValue, symsIn, type TypedArray } from "@sinter/ir";
import { type RecordedCall, theMachine } from "@sinter/runtime";
import { symbol } from "../dims.ts";
import { force } from "../eager.ts";
import { setPrintSink } from "../effects/run.ts";
import { describe, SinterError } from "../errors.ts";
import type { VariableCell } from "../frame.ts";
import { isOnGpu } from "../gpu/place.ts";
import { lazyFromData, readLazy } from "../lazy.ts";
import type { TypedData } from "../nested.ts";
import { restoring } from "../restoring.ts";
import { Spec, type SpecSize } from "../spec.ts";
import { Tensor } from "../tensor.ts";
import { hostDType, type Leaf, treeOf } from "../trees.ts";
import { Draw, drawings } from "./draw.ts";
import type { Problems, Subject } from "./subject.ts";

/**
 * Calls each subject once, those that change variables or have symbolic sizes twice, one after the other, with other sizes. A spec among the arguments is drawn
 * anew for each call. Nothing is printed. A call that fails is added to `problems`.
 */
export function record(
  subjects: readonly Subject[],
  variables: readonly VariableCell[],
  problems: Problems,
): RecordedCall[] {
  const draw = new Draw(1);
  const calls = ({ concrete, leaves }: Subject): number =>
    leaves.some(isOpen) || concrete.wiring.states.some((state) => state.out >= 0 || state.from !== undefined) ? 2 : 1;
  const sink = setPrintSink(() => {});
  try {
    return restoring(variables, () =>
      subjects.flatMap((subject) =>
        Array.from({ length: calls(subject) }, (_, n) => recordCall(subject, n, variables, draw, problems)).flat(),
      ),
    );
  } finally {
    setPrintSink(sink);
  }
}

function recordCall(
  { name, concrete, leaves }: Subject,
  n: number,
  variables: readonly VariableCell[],
  draw: Draw,
  problems: Problems,
): RecordedCall[] {
  const drawn = leaves.some((leaf) => leaf instanceof Spec);
  let failure: unknown;
  let refused = false;
  for (const drawing of drawn ? drawings : drawings.slice(0, 1)) {
    const made: Tensor[] = [];
    const sizes = new Map<string, number>();
    try {
      const given = leaves.map((leaf): Tensor | TypedData => {
        if (!(leaf instanceof Spec)) return leaf as Tensor | TypedData;
        const shape = leaf.shape.map((size) => sizeIn(size, n, sizes));
        const lazy = lazyFromData(theMachine().heap, leaf.dtype, shape, draw.elements(leaf.dtype, shape, drawing));
        made.push(new Tensor(lazy));
        return made.at(-1)!;
      });
      const args = given.map(contentsOf);
      const program = concrete.program();
      if (!program.accepts(given)) throw new Error("its recorded calls have sizes that it does not take");
      const returned: Leaf[] = [];
      treeOf(program.call(given, undefined), returned, "result");
      made.push(...(returned as Tensor[]));
      const after = new Map<number, TypedArray>();
      for (const { variable, out, from } of concrete.wiring.states)
        if (out >= 0 || from !== undefined) after.set(variables.indexOf(variable), contents(variable));
      const bound = sizes.size === 0 ? {} : { sizes };
      return [{ function: name, ...bound, args, results: (returned as Tensor[]).map(contentsOf), after }];
    } catch (error) {
      failure = error;
      refused = concrete.wiring.checked?.checks.includes(error as Error) ?? false;
      // Inputs that nobody chose may be none that the function is for.
      if (!refused) break;
    } finally {
      for (const handle of made) handle.dispose();
    }
  }
  const why = failure instanceof Error ? failure.message : String(failure);
  problems.add(
    name,
    drawn && refused
      ? `refuses the inputs that were drawn for its recorded calls: ${why}\n    Give it arguments instead of specs, or selfTest: false.`
      : why,
  );
  return [];
}

function isOpen(leaf: Leaf): boolean {
  return leaf instanceof Spec && leaf.shape.some((size) => typeof size !== "number");
}

/** Sizes of recorded calls: of the n-th call, for the first symbol, the second, ... */
const firstSizes = [3, 6];

/** What a size is in the n-th call. */
function sizeIn(size: SpecSize, n: number, sizes: Map<string, number>): number {
  if (typeof size === "number") return size;
  const dim = typeof size === "string" ? symbol(size) : size!;
  for (const { name, lo, hi } of symsIn(dim).values())
    if (!sizes.has(name)) sizes.set(name, Math.min(Math.max(firstSizes[n]! + sizes.size, lo), hi));
  return dimValue(dim, sizes);
}

/** A copy of what a variable holds now. */
export function contents(variable: VariableCell): TypedArray {
  const lazy = variable.current();
  if (isOnGpu(lazy)) {
    if (lazy.copy !== undefined) return lazy.copy.slice();
    throw new SinterError(
      `the value of variable ${variable.name}, ${describe(variable)}, is on webgpu, whose memory cannot be read at once: read it before, await ${variable.name}.data()`,
    );
  }
  force(lazy);
  return readLazy(theMachine().heap, lazy);
}

function contentsOf(leaf: Tensor | TypedData): TypedArray {
  if (leaf instanceof Tensor) return leaf.dataSync();
  const data = allocate(hostDType(leaf), leaf.length);
  data.set(leaf);
  return data;
}
