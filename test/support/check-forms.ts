// The differential check: a graph by its reference evaluation and compiled in every form, down to the interpreter of
// its loops where it is small.
import { evalGraph, evalNests, type Graph, type HostTensor, type MemoryKind, printNests } from "@sinter/ir";
import { passOn } from "./asked-checks.ts";
import { type Compiled, type Form, formName, forms, runLoops, runWasm, withCompiled } from "./compiled.ts";
import { roundingSlack, type Slack } from "./conditioning.ts";
import { resultsDifference, type Tolerance } from "./random.ts";

export interface CheckOptions {
  readonly tolerance?: Tolerance;
  /** Besides the tolerance, results may be off by what the inaccuracy of each op makes of them (`roundingSlack`). */
  readonly byRounding?: boolean;
  readonly forms?: readonly Form[];
  readonly memories?: readonly MemoryKind[];
  /** Also without relaxed SIMD (fma), as on older engines. */
  readonly plainSimd?: boolean;
  /** Also over the old states, where the graph has any. Default: yes. */
  readonly inPlace?: boolean;
  /** Nests and loops are interpreted too where no tensor has more elements than this. */
  readonly interpretUpTo?: number;
  /** Instead of the reference evaluator's results. */
  readonly expected?: readonly HostTensor[];
}

/** Throws an error that says which form of the graph differs from the reference, and where. */
export function checkForms(graph: Graph, args: readonly HostTensor[], options: CheckOptions = {}): void {
  if (!passOn(graph, args, options)) return;
  const expected = options.expected ?? evalGraph(graph, args);
  const largest = Math.max(0, ...[...args, ...expected].map((t) => t.data.length));
  const interpret = largest <= (options.interpretUpTo ?? 100);
  const hasStates = graph.results.some((r) => r.kind === "state");
  const inPlace = hasStates && options.inPlace !== false ? [false, true] : [false];
  let slack: Slack | undefined;
  const compare = (what: string, actual: readonly HostTensor[]): void => {
    let difference = resultsDifference(actual, expected, options.tolerance);
    // It takes several evaluations: only what differs needs it.
    if (difference !== undefined && options.byRounding === true) {
      slack ??= roundingSlack(graph, args);
      difference = resultsDifference(actual, expected, options.tolerance, slack);
    }
    if (difference !== undefined) throw new Error(`${what}: ${difference}`);
  };
  const seen = new Set<string>();
  for (const form of options.forms ?? forms)
    withCompiled(graph, form, (compiled) => {
      // Where there is nothing to fuse, the fused program is the one that was just compared.
      const { generic, chunkWork } = form;
      const program = `${generic} ${chunkWork} ${printNests(compiled.nests, { notes: false })}`;
      if (seen.has(program)) return;
      seen.add(program);
      for (const statesInPlace of inPlace) {
        const where = statesInPlace ? " (states in place)" : "";
        if (interpret) {
          // Schedules differ in loops alone: their nests are the same.
          if (!form.generic) compare(`nests${where}`, interpretNests(compiled, args, expected, statesInPlace));
          compare(`loops${where}`, runLoops(compiled, args, { statesInPlace }));
        }
        if (options.plainSimd === true)
          compare(`wasm, plain SIMD${where}`, runWasm(compiled, args, { statesInPlace, features: plainSimd }));
        for (const memory of options.memories ?? ["unshared" as const])
          compare(`wasm, ${memory} memory${where}`, runWasm(compiled, args, { memory, statesInPlace }));
      }
    });
}

const plainSimd = { relaxedSimd: false };

function interpretNests(
  { nests }: Compiled,
  args: readonly HostTensor[],
  like: readonly HostTensor[],
  statesInPlace: boolean,
): HostTensor[] {
  const found = evalNests(
    nests,
    args.map((a) => a.data),
    { statesInPlace },
  );
  return like.map((e, i): HostTensor => ({ ...e, data: found[i]! }));
}

/** Throws where two forms of a graph differ in a single bit (any NaN equals any other). */
export function checkSameBits(graph: Graph, args: readonly HostTensor[], pair: readonly [Form, Form]): void {
  const [a, b] = pair.map((form) => withCompiled(graph, form, (compiled) => runWasm(compiled, args)));
  const difference = resultsDifference(a!, b!);
  if (difference !== undefined) throw new Error(`${formName(pair[0])} against ${formName(pair[1])}: ${difference}`);
}
