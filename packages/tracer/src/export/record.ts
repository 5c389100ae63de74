/**
 * The recorded calls of a bundle's self-test: each function is called as the compiled function it is, and afterwards every
 * variable has the value it had.
 */
import { allocate, type TypedArray } from "@sinter/ir";
import { type RecordedCall, theMachine } from "@sinter/runtime";
import { force } from "../eager.ts";
import { setPrintSink } from "../effects/run.ts";
import type { VariableCell } from "../frame.ts";
import { lazyFromData, readLazy } from "../lazy.ts";
import type { TypedData } from "../nested.ts";
import { restoring } from "../restoring.ts";
import { Spec } from "../spec.ts";
import { Tensor } from "../tensor.ts";
import { hostDType, type Leaf, treeOf } from "../trees.ts";
import { Draw, drawings } from "./draw.ts";
import type { Problems, Subject } from "./subject.ts";

/**
 * Calls each subject once, those that change variables twice, one after the other. A spec among the arguments is drawn
 * anew for each call. Nothing is printed. A call that fails is added to `problems`.
 */
export function record(
  subjects: readonly Subject[],
  variables: readonly VariableCell[],
  problems: Problems,
): RecordedCall[] {
  const draw = new Draw(1);
  const sink = setPrintSink(() => {});
  try {
    return restoring(variables, () =>
      subjects.flatMap((subject) => {
        const changes = subject.concrete.wiring.states.some((state) => state.out >= 0 || state.from !== undefined);
        return Array.from({ length: changes ? 2 : 1 }, () => recordCall(subject, variables, draw, problems)).flat();
      }),
    );
  } finally {
    setPrintSink(sink);
  }
}

function recordCall(
  { name, concrete, leaves }: Subject,
  variables: readonly VariableCell[],
  draw: Draw,
  problems: Problems,
): RecordedCall[] {
  const drawn = leaves.some((leaf) => leaf instanceof Spec);
  let failure: unknown;
  let refused = false;
  for (const drawing of drawn ? drawings : drawings.slice(0, 1)) {
    const made: Tensor[] = [];
    try {
      const given = leaves.map((leaf): Tensor | TypedData => {
        if (!(leaf instanceof Spec)) return leaf as Tensor | TypedData;
        const shape = leaf.shape as readonly number[];
        const lazy = lazyFromData(theMachine().heap, leaf.dtype, shape, draw.elements(leaf.dtype, shape, drawing));
        made.push(new Tensor(lazy));
        return made.at(-1)!;
      });
      const args = given.map(contentsOf);
      const returned: Leaf[] = [];
      treeOf(concrete.call(given, undefined), returned, "result");
      made.push(...(returned as Tensor[]));
      const after = new Map<number, TypedArray>();
      for (const { variable, out, from } of concrete.wiring.states)
        if (out >= 0 || from !== undefined) after.set(variables.indexOf(variable), contents(variable));
      return [{ function: name, args, results: (returned as Tensor[]).map(contentsOf), after }];
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

/** A copy of what a variable holds now. */
export function contents(variable: VariableCell): TypedArray {
  const lazy = variable.current();
  force(lazy);
  return readLazy(theMachine().heap, lazy);
}

function contentsOf(leaf: Tensor | TypedData): TypedArray {
  if (leaf instanceof Tensor) return leaf.dataSync();
  const data = allocate(hostDType(leaf), leaf.length);
  data.set(leaf);
  return data;
}
