/**
 * Folds over the threads of a group, in an order that is always the same. With subgroups: an exchange inside each, then
 * the first thread folds one value of each in order; else a tree in memory of the group.
 */
import { loop, type ScalarType } from "@sinter/ir";
import { functionText } from "./expr.ts";
import type { Module } from "./space.ts";
import { storedScalar, typeName } from "./types.ts";

/** Groups of a multiple of this many threads have no partial subgroup, whatever the device. */
const largestSubgroup = 128;

/** The function of the module that folds; it takes the value of this thread. */
export function foldFunction(module: Module, op: string, scalar: ScalarType, threads: number): string {
  const type = typeName(scalar, 1);
  const name = `${op}OfGroup${type.toUpperCase()}`;
  return module.helpers.add(name, () => {
    const combine = combiner(module, op, scalar);
    const stored = storedScalar(scalar);
    const into = (x: string): string => (scalar === "bool" ? `select(0u, 1u, ${x})` : x);
    const from = (x: string): string => (scalar === "bool" ? `(${x} != 0u)` : x);
    const wide = module.features.subgroups && threads % largestSubgroup === 0;
    const shared = module.workgroupArray(`shared${stored.toUpperCase()}`, stored, wide ? threads / 4 : threads);
    module.usesThread = true;
    const body = wide
      ? subgroups(module, threads, shared, stored, combine, into, from)
      : tree(threads, shared, combine, into, from);
    return [
      `fn ${name}(value: ${type}) -> ${type} {`,
      ...body.map((line) => `  ${line}`),
      `  return ${from(`workgroupUniformLoad(&${shared}[0])`)};`,
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

type Convert = (x: string) => string;

function tree(threads: number, shared: string, combine: string, into: Convert, from: Convert): string[] {
  const lines = [`${shared}[threadIndex] = ${into("value")};`, "workgroupBarrier();"];
  for (let n = threads; n > 1; ) {
    const half = (n + 1) >> 1;
    const [a, b] = [from(`${shared}[threadIndex]`), from(`${shared}[threadIndex + ${half}u]`)];
    lines.push(
      `if (threadIndex < ${n - half}u) {`,
      `  ${shared}[threadIndex] = ${into(`${combine}(${a}, ${b})`)};`,
      "}",
      "workgroupBarrier();",
    );
    n = half;
  }
  return lines;
}

function subgroups(
  module: Module,
  threads: number,
  shared: string,
  stored: string,
  combine: string,
  into: Convert,
  from: Convert,
): string[] {
  module.usesSubgroups = true;
  return [
    `var mine: ${stored} = ${into("value")};`,
    "for (var step = 1u; step < subgroupSize; step = step << 1u) {",
    `  let other = subgroupShuffleXor(mine, step);`,
    `  mine = ${into(`${combine}(${from("mine")}, ${from("other")})`)};`,
    "}",
    "if (subgroupThread == 0u) {",
    `  ${shared}[threadIndex / subgroupSize] = mine;`,
    "}",
    "workgroupBarrier();",
    "if (threadIndex == 0u) {",
    `  for (var i = 1u; i < ${threads}u / subgroupSize; i++) {`,
    `    ${shared}[0] = ${into(`${combine}(${from(`${shared}[0]`)}, ${from(`${shared}[i]`)})`)};`,
    "  }",
    "}",
  ];
}
