// Derivative and batch rules of every op in the registry, generated from the samplers: a new op is tested by existing.
import { allOps, getOp, isFloat, typeOf } from "@sinter/ir";
import { describe, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { seededRng } from "../../../test/support/random.ts";
import { checkBatching, checkDerivatives, floatParams } from "./support/check.ts";
import { type Instance, instanceOf } from "./support/sampled.ts";

const ops = allOps.filter((op) => op.groups.length === 0 && !op.effect);
const runs = fuzzRuns(6);

describe("derivatives agree with finite differences, forward with reverse mode, to second order", () => {
  for (const op of ops.filter((op) => op.derivative.kind !== "none"))
    test(op.name, () => {
      for (let seed = 1; seed <= runs; seed++) {
        const rng = seededRng(seed);
        const instance = instanceOf(op, rng, "f64");
        if (instance === undefined || !isSmooth(instance)) continue;
        repeatable(seed, () => {
          const backward = checkDerivatives(instance, rng);
          if (floatParams(instance.graph).length > 0) checkDerivatives(backward, rng);
        });
      }
    });
});

describe("vmap agrees with a loop", () => {
  for (const op of ops)
    test(op.name, () => {
      for (let seed = 1; seed <= runs; seed++) {
        const rng = seededRng(seed);
        const instance = instanceOf(op, rng, "f64") ?? instanceOf(op, rng, "f32");
        if (instance === undefined || instance.args.length === 0) continue;
        const again = (): Instance["args"] => instance.args.map((arg) => shuffle(arg, rng));
        repeatable(seed, () => checkBatching(instance, [again(), again()], rng));
      }
    });
});

/** Whether calculus says anything of it: some float goes in and some float comes out. */
function isSmooth({ graph }: Instance): boolean {
  return (
    floatParams(graph).length > 0 &&
    graph.results.some((result) => isFloat(typeOf(result.value).dtype)) &&
    graph.nodes.every((node) => getOp(node.op).derivative.kind !== "none")
  );
}

/** Another argument of the same range: the same elements in another order. */
function shuffle(arg: Instance["args"][number], rng: ReturnType<typeof seededRng>): Instance["args"][number] {
  const data = arg.data.slice();
  for (let i = data.length - 1; i > 0; i--) {
    const j = rng.int(0, i);
    [data[i], data[j]] = [data[j]!, data[i]!];
  }
  return { ...arg, data };
}

function repeatable(seed: number, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}
