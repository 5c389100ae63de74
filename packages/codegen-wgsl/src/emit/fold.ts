/**
 * Folds over the threads of a group, or over each so many neighbours, in an order that is always the same. With subgroups:
 * an exchange inside each, then one value of each through memory of the group, in order; else a tree in that memory.
 */
import { loop, type ScalarType } from "@sinter/ir";
import { functionText } from "./expr.ts";
import type { Module } from "./space.ts";
import { storedScalar, typeName } from "./types.ts";

/** No device has smaller subgroups. */
const smallestSubgroup = 4;

/**
 * The function of the module that folds; it takes the value of this thread. `width`: the neighbours that fold together, a
 * power of two; the whole group where it is undefined, and then all threads are known to get the same.
 */
export function foldFunction(module: Module, op: string, scalar: ScalarType, width?: number): string {
  const { features, threads } = module;
  if (width !== undefined && threads % width !== 0)
    throw new Error(`a fold of each ${width} threads in a group of ${threads}`);
  const type = typeName(scalar, 1);
  const name = `${op}Of${width ?? "Group"}${type.toUpperCase()}`;
  return module.helpers.add(name, () => {
    const combine = combiner(module, op, scalar);
    const stored = storedScalar(scalar);
    const into = (x: string): string => (scalar === "bool" ? `select(0u, 1u, ${x})` : x);
    const from = (x: string): string => (scalar === "bool" ? `(${x} != 0u)` : x);
    const fold: Fold = {
      type: stored,
      threads,
      width,
      combine: (a, b) => into(`${combine}(${from(a)}, ${from(b)})`),
      shared: () => {
        const slots = features.subgroups ? Math.ceil(threads / smallestSubgroup) : threads;
        return module.workgroupArray(`shared${stored.toUpperCase()}`, stored, slots);
      },
    };
    module.usesThread = true;
    module.usesSubgroups ||= features.subgroups;
    const body = features.subgroups
      ? subgroups(fold, features.subgroupMinSize ?? smallestSubgroup)
      : tree(fold, fold.shared());
    return [
      `fn ${name}(value: ${type}) -> ${type} {`,
      `  var mine: ${stored} = ${into("value")};`,
      ...body.map((line) => `  ${line}`),
      `  return ${from("mine")};`,
      "}",
    ].join("\n");
  });
}

/** The function of two values. */
function combiner(module: Module, op: string, scalar: ScalarType): string {
  const type = loop.type(scalar);
  const name = `${op}Of${typeName(scalar, 1).toUpperCase()}`;
  return module.helpers.add(name, () =>
    functionText(module, name, ["x", "y"], type, (args) => ({ kind: "op", type, op, args })),
  );
}

interface Fold {
  readonly type: string;
  readonly threads: number;
  readonly width: number | undefined;
  /** Of words as they are stored. */
  readonly combine: (a: string, b: string) => string;
  /** Declares memory of the group with a word for each thread, or for each subgroup. */
  readonly shared: () => string;
}

/** What lies at place 0 of the memory, the same for all threads; nobody goes on before all have it. */
const ofGroup = (shared: string): string => `mine = workgroupUniformLoad(&${shared}[0]);`;

function tree({ threads, width, combine }: Fold, shared: string): string[] {
  const lines = [`${shared}[threadIndex] = mine;`, "workgroupBarrier();"];
  const place = width === undefined ? "threadIndex" : `(threadIndex & ${width - 1}u)`;
  for (let n = width ?? threads; n > 1; ) {
    const half = (n + 1) >> 1;
    lines.push(
      `if (${place} < ${n - half}u) {`,
      `  ${shared}[threadIndex] = ${combine(`${shared}[threadIndex]`, `${shared}[threadIndex + ${half}u]`)};`,
      "}",
      "workgroupBarrier();",
    );
    n = half;
  }
  if (width === undefined) return [...lines, ofGroup(shared)];
  return [...lines, `mine = ${shared}[threadIndex - ${place}];`, "workgroupBarrier();"];
}

function subgroups(fold: Fold, smallest: number): string[] {
  const { type, threads, width, combine } = fold;
  const count = width ?? threads;
  const even = Number.isInteger(Math.log2(count));
  // Threads that fold by exchange: those of a subgroup, which may have more than there are.
  const own = even ? `min(subgroupSize, ${count}u)` : "subgroupSize";
  const exchange = `mine = ${combine("mine", "other")};`;
  const lines = [
    `for (var step = 1u; step < ${own}; step = step << 1u) {`,
    `  let other: ${type} = subgroupShuffleXor(mine, step);`,
    // The last subgroup may have threads only in front: where a partner is missing, so are all that it would speak for.
    even ? `  ${exchange}` : `  if ((threadIndex ^ step) < ${threads}u) { ${exchange} }`,
    "}",
  ];
  if (width !== undefined && width <= smallest) return lines;
  const shared = fold.shared();
  lines.push(
    `let own = ${own};`,
    "if (threadIndex % own == 0u) {",
    `  ${shared}[threadIndex / own] = mine;`,
    "}",
    "workgroupBarrier();",
  );
  if (width === undefined)
    return [
      ...lines,
      "if (threadIndex == 0u) {",
      `  for (var i = 1u; i * own < ${threads}u; i++) {`,
      `    ${shared}[0] = ${combine(`${shared}[0]`, `${shared}[i]`)};`,
      "  }",
      "}",
      ofGroup(shared),
    ];
  return [
    ...lines,
    `let first = threadIndex / ${width}u * (${width}u / own);`,
    `mine = ${shared}[first];`,
    `for (var i = 1u; i < ${width}u / own; i++) {`,
    `  mine = ${combine("mine", `${shared}[first + i]`)};`,
    "}",
    // Before the memory is written for the next fold.
    "workgroupBarrier();",
  ];
}
