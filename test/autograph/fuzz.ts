// Tries random structured programs one after another and reports what went wrong, shrunk, in a form that can be read and
// run again.
import { join } from "node:path";
import type { Autograph } from "@sinter/autograph";
import { seededRng } from "../support/random.ts";
import { generateProgram } from "./generate.ts";
import { printProgram } from "./program.ts";
import { type How, type Input, judge, type StructuredCase, transformed, type Verdict } from "./run.ts";
import { shrink } from "./shrink.ts";

export interface FuzzReport {
  readonly programs: number;
  readonly calls: number;
  /** What the transform would not take, with seed and message. */
  readonly refused: readonly string[];
  /** Source, transformed source and difference of each failure. */
  readonly failures: readonly string[];
}

export interface FuzzOptions {
  readonly seed: number;
  readonly programs: number;
  readonly inputs?: number;
  /** Compare derivatives with respect to x and y instead of values. */
  readonly gradients?: boolean;
  /** Whether tensors are compared by `<` and the like, which needs types. */
  readonly comparisons?: boolean;
  /** Stop after so many failures. */
  readonly failures?: number;
  readonly progress?: (done: number) => void;
  /** Told of each failure and refusal as it is found. */
  readonly report?: (text: string) => void;
}

const file = join(import.meta.dirname, "generated.ts");

/** The case of a seed: always the same one. Where derivatives are compared, inputs lie off the ties. */
export function caseOf(
  seed: number,
  { inputs = 3, gradients = false, comparisons = true }: Partial<FuzzOptions> = {},
): StructuredCase {
  const rng = seededRng(seed);
  const program = generateProgram(rng, gradients ? { shape: "tensor", comparisons } : { comparisons });
  const half = (): number => (gradients ? rng.real(-4, 4) : rng.int(-8, 8) / 2);
  return {
    program,
    inputs: Array.from(
      { length: inputs },
      (): Input => ({ x: half(), y: half(), v: [half(), half(), half()], p: rng.int(0, 2), flag: rng.bool() }),
    ),
  };
}

export function fuzz(autograph: Autograph, options: FuzzOptions): FuzzReport {
  const refused: string[] = [];
  const failures: string[] = [];
  let programs = 0;
  let calls = 0;
  const hows: readonly How[] = options.gradients === true ? ["gradients"] : ["eager", "compiled"];
  for (; programs < options.programs && failures.length < (options.failures ?? 5); programs++) {
    const seed = options.seed + programs;
    const one = caseOf(seed, options);
    const verdict = judge(autograph, one, file, hows);
    const report = (list: string[], text: string): void => {
      list.push(text);
      options.report?.(text);
    };
    if (verdict.kind === "refused") report(refused, `seed ${seed}, refused: ${verdict.message}`);
    else calls += one.inputs.length;
    if (verdict.kind === "different") report(failures, explain(autograph, seed, one, verdict, hows));
    options.progress?.(programs + 1);
  }
  return { programs, calls, refused, failures };
}

function explain(
  autograph: Autograph,
  seed: number,
  one: StructuredCase,
  verdict: Verdict,
  hows: readonly How[],
): string {
  const kindOf = (v: Verdict): string =>
    v.kind === "different" ? `${v.how} ${/throws "(.{0,20})/.exec(v.message)?.[1]}` : v.kind;
  const small = shrink(one, (candidate) => {
    try {
      return kindOf(judge(autograph, candidate, file, hows)) === kindOf(verdict);
    } catch {
      // It does not even run natively any more.
      return false;
    }
  });
  const last = judge(autograph, small, file, hows);
  const found =
    last.kind === "different" ? `${last.how}: ${last.message}\ninput ${JSON.stringify(last.input)}` : last.kind;
  const source = printProgram(small.program);
  return `seed ${seed}, ${found}\n\n${source}\n--- transformed\n${transformed(autograph, small.program, file).code}`;
}
