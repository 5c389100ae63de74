/** The stages from a graph to a program, one readable list, each kept so that it can be looked at. */
import {
  expressionScope,
  type Graph,
  type LoopProgram,
  type NestProgram,
  type Plan,
  type WasmProgram,
} from "@sinter/ir";
import { findElementLoops, lower, normaliseRegions, planMemory, simplify, verifyPlan } from "@sinter/passes";
import type { LoopStages, Made, Program, Target } from "./target.ts";
import { wasmTarget } from "./wasm-target.ts";

export type Backend = "wasm" | "webgpu" | "reference";

export type Precision = "f32" | "f16";

export interface CompileOptions {
  readonly backend: Backend;
  /** Allows rewrites that can change a float result. */
  readonly fastMath?: boolean;
  /** `f16`: on GPUs that have it, operands of matrix products are rounded to f16. Sums are f32. Default: f32. */
  readonly precision?: Precision;
  /** Fills memory that nobody should read with NaN. */
  readonly poison?: boolean;
}

/** What each pass makes. */
export interface PassResults {
  /** Not a pass: what was given. */
  readonly trace: Graph;
  readonly simplify: Graph;
  readonly regions: Graph;
  readonly "loops-of-elements": Graph;
  readonly fuse: NestProgram;
  readonly schedule: LoopProgram;
  readonly plan: Plan;
  readonly emit: Program;
}
export type PassName = keyof PassResults;

/** One pass that ran. */
export type PassRecord = {
  readonly [P in PassName]: { readonly name: P; readonly made: PassResults[P]; readonly milliseconds: number };
}[PassName];
/** Called after each pass, while the expressions of its compilation are still at hand. */
export type Observe = (pass: PassRecord) => void;

/** Compiles a graph for wasm. */
export function compileToWasm(graph: Graph, options: CompileOptions, observe?: Observe): Made<WasmProgram> {
  return compileFor(wasmTarget(options), graph, options, observe);
}

/** Compiles a graph for a target. */
export function compileFor<P extends Program>(
  target: Target<P>,
  graph: Graph,
  options: GraphOptions,
  observe?: Observe,
): Made<P> {
  const simplified = simplifyGraph(graph, options, observe);
  return expressionScope(() => {
    const stages = loopStages(simplified, target, observe);
    return { ...stages, target, program: pass("emit", observe, () => target.emit(stages)) as P };
  });
}

/** What decides about the passes over graphs. */
export type GraphOptions = Pick<CompileOptions, "fastMath">;

/** All that comes before a program. */
export function lowerToLoops(graph: Graph, options: GraphOptions, target: Target, observe?: Observe): LoopStages {
  const simplified = simplifyGraph(graph, options, observe);
  return expressionScope(() => loopStages(simplified, target, observe));
}

/** Inside an `expressionScope`. */
function loopStages(simplified: Graph, target: Target, observe: Observe | undefined): LoopStages {
  const nests = pass("fuse", observe, () => lower(simplified, target.fusion));
  const loops = pass("schedule", observe, () => target.schedule(nests));
  const plan = pass("plan", observe, () => planMemory(loops, target.memory));
  verifyPlan(loops, plan);
  return { simplified, nests, loops, plan };
}

/** The passes over graphs, which are the same for every target. */
export function simplifyGraph(graph: Graph, { fastMath = false }: GraphOptions, observe?: Observe): Graph {
  const algebra = { fastMath };
  pass("trace", observe, () => graph);
  const smaller = pass("simplify", observe, () => simplify(graph, algebra));
  const normal = pass("regions", observe, () => normaliseRegions(smaller, algebra));
  return pass("loops-of-elements", observe, () => findElementLoops(normal, algebra));
}

function pass<P extends PassName>(name: P, observe: Observe | undefined, run: () => PassResults[P]): PassResults[P] {
  if (observe === undefined) return run();
  const started = performance.now();
  const made = run();
  observe({ name, made, milliseconds: performance.now() - started } as PassRecord);
  return made;
}

/** Notes are made of the compilation's own expressions, when they are read first. */
export function readNotes(record: PassRecord): void {
  if (record.name === "fuse") record.made.notes.at(0);
}
