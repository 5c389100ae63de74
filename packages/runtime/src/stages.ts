/** The stages from a graph to a wasm program, one readable list, each kept so that it can be looked at. */
import { emit, probeFeatures, schedule } from "@sinter/codegen-wasm";
import {
  expressionScope,
  type Graph,
  type LoopProgram,
  type NestProgram,
  type Plan,
  type WasmFeatures,
  type WasmProgram,
} from "@sinter/ir";
import {
  findElementLoops,
  lower,
  normaliseRegions,
  planMemory,
  poisonDead,
  simplify,
  verifyPlan,
} from "@sinter/passes";
import { type Cost, costOf, type LoopStages, type Made } from "./cost.ts";
import { theMachine } from "./session.ts";
import { type StageName, stageText } from "./stage-text.ts";

export type Backend = "wasm" | "webgpu" | "reference";

export interface CompileOptions {
  readonly backend: Backend;
  /** Allows rewrites that can change a float result. */
  readonly fastMath?: boolean;
  /** Fills memory that nobody should read with NaN. */
  readonly poison?: boolean;
  /** Makes the program tell a clock when its steps begin and are done. */
  readonly instrument?: boolean;
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
  readonly emit: WasmProgram;
}
export type PassName = keyof PassResults;

/** One pass that ran. */
export type PassRecord = {
  readonly [P in PassName]: { readonly name: P; readonly made: PassResults[P]; readonly milliseconds: number };
}[PassName];
/** Called after each pass, while the expressions of its compilation are still at hand. */
export type Observe = (pass: PassRecord) => void;

/** Compiles a graph for wasm. */
export function compileToWasm(graph: Graph, options: CompileOptions, observe?: Observe): Made {
  const features = probeFeatures();
  const made = lowerToLoops(graph, options, features, observe);
  const { instrument = false } = options;
  const target = { ...features, memory: theMachine().heap.kind, owner: "import", names: true, instrument } as const;
  const { program, plan } = loopsThatRun(made, options);
  return { ...made, program: pass("emit", observe, () => emit(program, plan, target)) };
}

/** What a module is made of. */
export function loopsThatRun({ loops, plan }: LoopStages, { poison = false }: CompileOptions) {
  return poison ? poisonDead(loops, plan) : { program: loops, plan };
}

/** All that comes before a module, for an engine with these features. */
export function lowerToLoops(
  graph: Graph,
  options: CompileOptions,
  features: WasmFeatures,
  observe?: Observe,
): LoopStages {
  const simplified = simplifyGraph(graph, options, observe);
  return expressionScope(() => {
    const nests = pass("fuse", observe, () => lower(simplified, {}));
    const loops = pass("schedule", observe, () => schedule(nests, features));
    const plan = pass("plan", observe, () => planMemory(loops, { alignment: 64 }));
    verifyPlan(loops, plan);
    return { simplified, nests, loops, plan };
  });
}

/** The passes over graphs, which are the same for every target. */
export function simplifyGraph(
  graph: Graph,
  { fastMath = false }: Pick<CompileOptions, "fastMath">,
  observe?: Observe,
): Graph {
  const algebra = { fastMath };
  pass("trace", observe, () => graph);
  const smaller = pass("simplify", observe, () => simplify(graph, algebra));
  const normal = pass("regions", observe, () => normaliseRegions(smaller, algebra));
  return pass("loops-of-elements", observe, () => findElementLoops(normal, algebra));
}

export function pass<P extends PassName>(
  name: P,
  observe: Observe | undefined,
  run: () => PassResults[P],
): PassResults[P] {
  if (observe === undefined) return run();
  const started = performance.now();
  const made = run();
  observe({ name, made, milliseconds: performance.now() - started } as PassRecord);
  return made;
}

/** The stages of one compilation as text and numbers, made when first asked for. */
export interface Stages {
  /** Throws for a name that is no stage. */
  text(stage: StageName): string;
  cost(): Cost;
}

export function stagesOf(graph: Graph, options: CompileOptions): Stages {
  let made: Made | undefined;
  const all = (): Made => {
    made ??= compileToWasm(graph, options, readNotes);
    return made;
  };
  return {
    text: (stage) => stageText(stage, graph, all),
    cost: () => costOf(all()),
  };
}

/** Notes are made of the compilation's own expressions, when they are read first. */
export function readNotes(record: PassRecord): void {
  if (record.name === "fuse") record.made.notes.at(0);
}
