/**
 * What is exported: each function with its trace and what is given to it. Whatever is in the way is found for all
 * functions in one go.
 */

import type { Graph, Loc } from "@sinter/ir";
import { userCallOf } from "@sinter/passes";
import type { BundleSpec } from "@sinter/runtime";
import { currentBackend } from "../backend.ts";
import { describeValue, ExportError, locText, SinterError } from "../errors.ts";
import { VariableCell } from "../frame.ts";
import { type HeapTrace, type TracedFunction, tracedFunction } from "../function.ts";
import { namedSizes } from "../generalise.ts";
import { checkTypes } from "../gpu/compile.ts";
import { Tensor } from "../tensor.ts";
import { pathName } from "../trace.ts";
import { checkGuard } from "../transformed.ts";
import { eachStatic, eachTensor, type Leaf, type Tree, treeOf, treeText } from "../trees.ts";
import { isIdentifier } from "./names.ts";

/** What a bundle runs on. */
export type Target = NonNullable<BundleSpec["target"]>;

/** A function to be exported, its trace, and what the arguments of the recorded calls are. */
export interface Subject {
  /** In the bundle. */
  readonly name: string;
  readonly traced: TracedFunction;
  readonly concrete: HeapTrace;
  readonly leaves: readonly Leaf[];
}

/** Collects what keeps functions from being exported. */
export class Problems {
  readonly found: string[] = [];
  private readonly caller: string;

  constructor(caller: string) {
    this.caller = caller;
  }

  /** `where`: a line, for a text that tells none. */
  add(what: string, why: string, where?: string): void {
    const told = where === undefined || /\n\s+at \S/.test(why);
    this.found.push(`${what}: ${why}${told ? "" : `\n    at ${where}`}`);
  }

  throwIfAny(): void {
    if (this.found.length > 0) throw new ExportError(this.caller, this.found);
  }
}

/**
 * The subjects of functions by name; `inputs` by name says what they take, where they do not know it themselves. Tensors
 * made from numbers in `inputs` are appended to `made`. What is wrong is added to `problems`.
 */
export function subjectsOf(
  functions: ReadonlyMap<string, unknown>,
  inputs: ReadonlyMap<string, unknown>,
  problems: Problems,
  made: Tensor[],
  target: Target = "wasm",
): Subject[] {
  if (functions.size === 0) problems.add("nothing", "there is no function to export");
  for (const name of inputs.keys())
    if (!functions.has(name))
      problems.add(
        `inputs.${name}`,
        `there is no function of this name; there are ${[...functions.keys()].join(", ")}`,
      );
  return [...functions].flatMap(([name, value]) => {
    const traced = tracedFunction(value);
    if (traced === undefined) {
      problems.add(name, whyNotCompiled(value));
      return [];
    }
    if (!isIdentifier(name)) {
      problems.add(
        JSON.stringify(name),
        "gives no name of its own for a function in a bundle, which has the letters a to z, digits, _ and $: rename it",
      );
      return [];
    }
    const subject = subjectOf(name, traced, inputs.get(name), problems, made, target);
    return subject === undefined ? [] : [subject];
  });
}

function whyNotCompiled(value: unknown): string {
  if (typeof value !== "function") return `is ${describeValue(value)}, not a compiled function`;
  const kind = Object.prototype.toString.call(value);
  if (kind.includes("Async")) return "is an async function, which cannot be compiled: await before or after the call";
  return `is a function that is not compiled: write compile(${isIdentifier(value.name) ? value.name : "f"})`;
}

function subjectOf(
  name: string,
  traced: TracedFunction,
  given: unknown,
  problems: Problems,
  made: Tensor[],
  target: Target,
): Subject | undefined {
  const line = locText(traced.loc);
  if ((traced.options.backend ?? currentBackend()) === "reference") {
    problems.add(name, `is compiled for the backend "reference", which has no program to export: take "wasm"`, line);
    return undefined;
  }
  const args = namedSizes(given ?? knownArguments(name, traced, problems, line), traced.names);
  if (args === undefined) return undefined;
  if (!Array.isArray(args)) {
    problems.add(name, `inputs must be an array with one entry for each argument, not ${describeValue(args)}`, line);
    return undefined;
  }
  for (const problem of argumentProblems(args, traced.names)) problems.add(name, problem, line);
  const leaves: Leaf[] = [];
  let concrete: HeapTrace;
  try {
    concrete = traced.onHeap(args, leaves, made);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    problems.add(
      name,
      text.startsWith(`${traced.name}: `) ? text.slice(traced.name.length + 2) : text,
      error instanceof SinterError ? undefined : line,
    );
    return undefined;
  }
  checkTrace(name, concrete, line, problems);
  if (target !== "wasm") attempt(name, problems, () => checkTypes(concrete.wiring.graph));
  return { name, traced, concrete, leaves };
}

/** The arguments of the declared signature, or of the only one that was traced; nothing for a function without parameters. */
function knownArguments(
  name: string,
  traced: TracedFunction,
  problems: Problems,
  line: string | undefined,
): readonly unknown[] | undefined {
  const { signature } = traced.options;
  const signatures = signature === undefined ? traced.signatures() : [signature];
  if (signatures.length === 1) return signatures[0];
  if (signatures.length === 0 && traced.names.length === 0) return [];
  const given = signatures.map((args) => `(${args.map((arg) => treeText(treeOf(arg, [], ""))).join(", ")})`);
  const why =
    signatures.length === 0
      ? `has no signature and was not called: say what it takes, inputs: [${traced.names.map(() => "spec([32, 784])").join(", ")}]`
      : `was traced for ${signatures.length} signatures: say which with inputs. They are ${given.join(" and ")}`;
  problems.add(name, why, line);
  return undefined;
}

/** What is in arguments that JSON cannot hold, or that is no value any more. */
function argumentProblems(args: readonly unknown[], names: readonly string[]): string[] {
  const leaves: Leaf[] = [];
  const found: string[] = [];
  let tree: Tree;
  try {
    tree = treeOf(args, leaves, "args", (path) => pathName(path, names));
  } catch {
    // The trace meets the same and says so.
    return [];
  }
  eachStatic(tree, "args", (value, path) => {
    const why = whyNotStatic(value);
    if (why !== undefined) found.push(`argument ${pathName(path, names)} is ${why}`);
  });
  eachTensor(tree, ({ index, path }) => {
    const leaf = leaves[index];
    if (leaf instanceof Tensor && leaf.disposed) found.push(`argument ${pathName(path, names)} has been disposed`);
  });
  return found;
}

/** Why a static value cannot be in a bundle; undefined where it can. */
function whyNotStatic(value: unknown): string | undefined {
  if (value instanceof VariableCell)
    return `the variable ${value.name}: a bundle's variables are those that functions capture, so let it be captured instead of passed`;
  if (typeof value === "function")
    return `a function${value.name ? ` (${value.name})` : ""}, which a bundle cannot hold: let it be captured instead of passed`;
  if (typeof value === "bigint") return `the bigint ${value}, which a bundle cannot hold: pass a number or a string`;
  if (typeof value === "symbol") return `${String(value)}, which a bundle cannot hold: pass a string`;
  if (typeof value === "object" && value !== null)
    return `${describeValue(value)}, which a bundle cannot hold: pass its fields as a plain object, or let it be captured`;
  return undefined;
}

/** What a trace has that cannot be exported. */
function checkTrace(name: string, concrete: HeapTrace, line: string | undefined, problems: Problems): void {
  const { wiring, result } = concrete;
  eachStatic(result, "the result", (value, path) => {
    const why = whyNotStatic(value);
    if (why !== undefined) problems.add(name, `${path} is ${why}`, line);
  });
  if (wiring.graph.results.length === 0 && wiring.outs.length === 0 && wiring.states.every((s) => s.from === undefined))
    problems.add(name, "computes nothing: it returns no tensor and changes no variable", line);
  for (const { call, loc } of hostCalls(wiring.graph))
    problems.add(
      name,
      `calls ${wiring.calls?.[call]?.label ?? "a function"} with hostCall, which stays outside a bundle: pass what it gives as an argument`,
      locText(loc) ?? line,
    );
  for (const { variable } of wiring.states) attempt(name, problems, () => variable.current());
  for (const guard of wiring.guards) attempt(name, problems, () => checkGuard(guard));
}

/** The functions of the user's that a graph calls, at any depth: their numbers, and where the calls were written. */
function hostCalls(graph: Graph): { readonly call: number; readonly loc: Loc | undefined }[] {
  return graph.nodes.flatMap((node, i) => {
    const call = userCallOf(node);
    const inner = node.regions.flatMap(hostCalls);
    return call === undefined ? inner : [{ call, loc: graph.debug.locs[i]?.[0] }, ...inner];
  });
}

function attempt(name: string, problems: Problems, body: () => void): void {
  try {
    body();
  } catch (error) {
    problems.add(name, error instanceof Error ? error.message : String(error));
  }
}
