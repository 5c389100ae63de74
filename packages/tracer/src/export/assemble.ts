/** Makes of traced functions the plain data that a bundle is written from. */

import { dataHash, sameData } from "@sinter/ir";
import { type BundleSpec, type ConstantSpec, type FunctionSpec, type SpecTree, theMachine } from "@sinter/runtime";
import { force } from "../eager.ts";
import { isEagerMode } from "../eager-mode.ts";
import { SinterError } from "../errors.ts";
import { currentTrace, type VariableCell } from "../frame.ts";
import { type Lazy, readLazy } from "../lazy.ts";
import type { Tensor } from "../tensor.ts";
import type { Tree } from "../trees.ts";
import { Names } from "./names.ts";
import { contents, record } from "./record.ts";
import { Problems, type Subject, subjectsOf } from "./subject.ts";
import { version } from "./version.ts";

export interface AssembleOptions {
  readonly name: string;
  readonly inputs: ReadonlyMap<string, unknown>;
  readonly weights: "file" | "embed";
  readonly license?: string | undefined;
  readonly graphs: boolean;
  /** Whether variables that have names are in the bundle although no function uses them. */
  readonly unused: boolean;
  readonly selfTest: boolean;
}

/**
 * The bundle of functions by name. `known` are variables under names of their own. Throws ExportError with all that is in the way.
 */
export function assemble(
  caller: string,
  functions: ReadonlyMap<string, unknown>,
  known: ReadonlyMap<string, VariableCell>,
  options: AssembleOptions,
): BundleSpec {
  if (currentTrace() !== undefined || isEagerMode())
    throw new SinterError(`${caller}: call it outside of compiled functions and of withEager`);
  const problems = new Problems(caller);
  const made: Tensor[] = [];
  try {
    const subjects = subjectsOf(functions, options.inputs, problems, made);
    problems.throwIfAny();
    const names = namesOf(subjects, known, options.unused);
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
      graphs: options.graphs,
      recorded,
    };
  } finally {
    for (const handle of made) handle.dispose();
  }
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
