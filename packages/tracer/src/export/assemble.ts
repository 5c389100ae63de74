/** Makes of traced functions the plain data that a bundle is written from. */

import { dataHash, sameData } from "@sinter/ir";
import { type BundleSpec, type ConstantSpec, type FunctionSpec, type SpecTree, theMachine } from "@sinter/runtime";
import { force } from "../eager.ts";
import { isEagerMode } from "../eager-mode.ts";
import { SinterError } from "../errors.ts";
import { currentTrace, type VariableCell } from "../frame.ts";
import { inHeap } from "../gpu/home.ts";
import { isOnGpu } from "../gpu/place.ts";
import { type Lazy, readLazy } from "../lazy.ts";
import { Tensor } from "../tensor.ts";
import { eagerRef } from "../traced-program.ts";
import type { Tree } from "../trees.ts";
import { Names } from "./names.ts";
import { contents, record } from "./record.ts";
import { Problems, type Subject, subjectsOf, type Target } from "./subject.ts";
import { version } from "./version.ts";

export interface AssembleOptions {
  readonly name: string;
  readonly inputs: ReadonlyMap<string, unknown>;
  readonly weights: "file" | "embed";
  readonly target: Target;
  readonly license?: string | undefined;
  readonly graphs: boolean;
  /** Whether variables that have names are in the bundle although no function uses them. */
  readonly unused: boolean;
  readonly selfTest: boolean;
}

/**
 * The bundle of functions by name. `known` are variables under names of their own. Throws ExportError with all that is in
 * the way, such as values on a GPU.
 */
export function assemble(
  caller: string,
  functions: ReadonlyMap<string, unknown>,
  known: ReadonlyMap<string, VariableCell>,
  options: AssembleOptions,
): BundleSpec {
  const begun = begin(caller, functions, known, options);
  try {
    for (const [lazy, what] of begun.values)
      if (isOnGpu(lazy))
        begun.problems.add(
          what,
          'is on webgpu, whose memory cannot be read at once: await exportBundle or saveModel, or bring it over with await x.to("wasm")',
        );
    return finish(begun, options);
  } finally {
    for (const handle of begun.made) handle.dispose();
  }
}

/** As `assemble`, where values may be on a GPU. They are in the heap meanwhile. */
export async function assembleAnywhere(
  caller: string,
  functions: ReadonlyMap<string, unknown>,
  known: ReadonlyMap<string, VariableCell>,
  options: AssembleOptions,
): Promise<BundleSpec> {
  const begun = begin(caller, functions, known, options);
  let leave = (): void => {};
  try {
    leave = await inHeap([...begun.values.keys()]);
    return finish(begun, options);
  } finally {
    leave();
    for (const handle of begun.made) handle.dispose();
  }
}

/** Functions traced, before anything is read. */
interface Begun {
  readonly caller: string;
  readonly subjects: readonly Subject[];
  readonly names: ReadonlyMap<VariableCell, string>;
  /** Variables' values and captured tensors, and what they are in errors. */
  readonly values: ReadonlyMap<Lazy, string>;
  readonly problems: Problems;
  /** Tensors that were made for it. */
  readonly made: readonly Tensor[];
}

function begin(
  caller: string,
  functions: ReadonlyMap<string, unknown>,
  known: ReadonlyMap<string, VariableCell>,
  options: AssembleOptions,
): Begun {
  if (currentTrace() !== undefined || isEagerMode())
    throw new SinterError(`${caller}: call it outside of compiled functions and of withEager`);
  const problems = new Problems(caller);
  const made: Tensor[] = [];
  try {
    const subjects = subjectsOf(functions, options.inputs, problems, made, options.target);
    problems.throwIfAny();
    const names = namesOf(subjects, known, options.unused);
    const values = new Map<Lazy, string>();
    for (const { name, concrete, leaves } of subjects) {
      for (const lazy of concrete.wiring.consts) values.set(lazy, `${name}: a captured tensor`);
      for (const leaf of leaves) if (leaf instanceof Tensor) values.set(eagerRef(leaf, name), `${name}: an argument`);
    }
    for (const variable of names.keys()) values.set(variable.current(), `the variable ${variable.name}`);
    return { caller, subjects, names, values, problems, made };
  } catch (error) {
    for (const handle of made) handle.dispose();
    throw error;
  }
}

function finish({ subjects, names, problems }: Begun, options: AssembleOptions): BundleSpec {
  problems.throwIfAny();
  const variables = [...names.keys()];
  const before = variables.map(contents);
  const constants = new Constants(new Names(names.values()));
  const specs = subjects.map((subject) => functionSpec(subject, variables, constants));
  const recorded = options.selfTest ? record(subjects, variables, problems) : [];
  problems.throwIfAny();
  return {
    name: options.name,
    sinter: version,
    ...(options.license === undefined ? {} : { license: options.license }),
    functions: specs,
    variables: variables.map((variable, i) => ({
      name: names.get(variable)!,
      dtype: variable.dtype,
      shape: variable.shape,
      data: before[i]!,
      trainable: variable.trainable,
    })),
    constants: constants.list,
    weights: options.weights,
    target: options.target,
    graphs: options.graphs,
    recorded,
  };
}

/** All variables in a fixed order, each with a name that no other has. */
function namesOf(
  subjects: readonly Subject[],
  known: ReadonlyMap<string, VariableCell>,
  unused: boolean,
): ReadonlyMap<VariableCell, string> {
  const used = new Set(subjects.flatMap(({ concrete }) => concrete.wiring.states.map((state) => state.variable)));
  const names = new Names();
  const found = new Map<VariableCell, string>();
  for (const [name, variable] of known) if (unused || used.has(variable)) found.set(variable, names.take(name));
  // The number in the name of one without a name counts what the process made before.
  for (const variable of used)
    if (!found.has(variable)) found.set(variable, names.take(variable.named ? variable.name : "variable"));
  return found;
}

/** Captured tensors, each content once. */
class Constants {
  readonly list: ConstantSpec[] = [];
  private readonly names: Names;
  private readonly known = new Map<string, number[]>();

  constructor(names: Names) {
    this.names = names;
  }

  /** Position of a captured tensor. */
  add(lazy: Lazy): number {
    force(lazy);
    const { dtype, shape } = lazy;
    const data = readLazy(theMachine().heap, lazy);
    const key = `${dtype}[${shape.join()}] ${dataHash(data)}`;
    const alike = this.known.get(key) ?? [];
    const same = alike.find((position) => sameData(this.list[position]!.data, data));
    if (same !== undefined) return same;
    this.known.set(key, [...alike, this.list.length]);
    return this.list.push({ name: this.names.take("constant"), dtype, shape, data }) - 1;
  }
}

function functionSpec(
  { name, traced, concrete }: Subject,
  variables: readonly VariableCell[],
  constants: Constants,
): FunctionSpec {
  const { wiring, tree, result } = concrete;
  const { fastMath } = traced.options;
  const args = tree.kind === "array" ? tree.items : [];
  return {
    name,
    graph: wiring.graph,
    ...(fastMath === undefined ? {} : { fastMath }),
    params: args.map((arg, i) => ({ name: traced.names[i] ?? `arg${i}`, tree: plainTree(arg) })),
    result: plainTree(result),
    constants: wiring.consts.map((lazy) => constants.add(lazy)),
    states: wiring.states.map(({ variable, out, from }) => ({
      variable: variables.indexOf(variable),
      out,
      ...(from === undefined ? {} : { from }),
    })),
    outs: wiring.outs,
    ...(wiring.checked === undefined
      ? {}
      : { check: { result: wiring.checked.result, messages: wiring.checked.checks.map(checkMessage) } }),
  };
}

/** A tree of the same structure that refers to nothing. Static values have been checked. */
function plainTree(tree: Tree): SpecTree {
  switch (tree.kind) {
    case "tensor":
      return { kind: "tensor", index: tree.index, dtype: tree.dtype, shape: tree.shape };
    case "static":
      return { kind: "static", value: tree.value as Extract<SpecTree, { kind: "static" }>["value"] };
    case "array":
      return { kind: "array", items: tree.items.map(plainTree) };
    case "object":
      return { kind: "object", keys: tree.keys, items: tree.items.map(plainTree) };
    default:
      return tree satisfies never;
  }
}

/** The text of a failed check, with the file of its line but not the folders, which differ between machines. */
function checkMessage(error: Error): string {
  return error.message.replace(/^(\s+at )(?:.*[\\/])?([^\\/]+:\d+:\d+)$/gm, "$1$2");
}
