/** Shaders of the executor's own: moves within one buffer, exchanges, and gates. All work on 32-bit words. */
import type { PipelineSource } from "../pipelines.ts";

/** Threads of a group. */
export const helperThreads = 64;

/** Word of `Params` that says that a gate has no other around it. */
export const noGate = 0xffffffff;

const params = (words: readonly string[]): string =>
  `struct Params { ${words.map((word) => `${word}: u32,`).join(" ")} }
@group(0) @binding(0) var<uniform> params: Params;
`;

const arrays = (names: readonly string[], first: number): string =>
  names.map((name, i) => `@group(0) @binding(${first + i}) var<storage, read_write> ${name}: array<u32>;\n`).join("");

const eachWord = (gated: boolean, body: string): string =>
  `@compute @workgroup_size(${helperThreads}) fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  ${gated ? "if (gate == 0u) { return; }" : ""}
  let i = id.x + id.y * groups.x * ${helperThreads}u;
  if (i >= params.count) { return; }
  ${body}
}
`;

const gate = "@group(0) @binding(1) var<storage, read> gate: u32;\n";

function source(label: string, code: string, buffers: number, gated: boolean): PipelineSource {
  return { label, code, buffers: new Array<"read_write">(buffers).fill("read_write"), params: true, gated };
}

/** Copies words of the first buffer to the second; `one`: they are the same. Params: count, and the words where both begin. */
export function moveShader(gated: boolean, one: boolean): PipelineSource {
  const names = one ? ["a"] : ["a", "b"];
  const body = `${one ? "a" : "b"}[params.target_at + i] = a[params.source_at + i];`;
  const code = `${params(["count", "source_at", "target_at"])}${gated ? gate : ""}${arrays(names, gated ? 2 : 1)}${eachWord(gated, body)}`;
  return source("move", code, names.length, gated);
}

/** Exchanges the words of two buffers. Params: count. */
export function exchangeShader(): PipelineSource {
  const body = "let x = a[i]; a[i] = b[i]; b[i] = x;";
  const code = `${params(["count"])}${gate}${arrays(["a", "b"], 2)}${eachWord(true, body)}`;
  return source("exchange", code, 2, true);
}

/**
 * Writes a gate for each branch of an `if`: whether the gate around is open and the index, clamped, is the branch's number.
 * Params: around (word of the gate around, or `noGate`), out (word of the first), step (words between them), branches, at
 * (word of the index in its buffer).
 */
export function branchShader(): PipelineSource {
  const code = `${params(["around", "out", "step", "branches", "at"])}${arrays(["gates", "index"], 1)}
@compute @workgroup_size(1) fn main() {
  var open = 1u;
  if (params.around != ${noGate}u) { open = gates[params.around]; }
  let chosen = u32(clamp(bitcast<i32>(index[params.at]), 0, i32(params.branches) - 1));
  for (var i = 0u; i < params.branches; i++) {
    gates[params.out + i * params.step] = select(0u, open, i == chosen);
  }
}
`;
  return source("branch", code, 2, false);
}

/**
 * The gate of a round of a `while`: open while all tests so far held. Params: first (whether this is the first round of
 * a list), out (its word; how many rounds were open is counted in the word after it), at (word of the predicate).
 */
export function testShader(): PipelineSource {
  const code = `${params(["first", "out", "at"])}${arrays(["gates", "predicate"], 1)}
@compute @workgroup_size(1) fn main() {
  var open = 1u;
  var rounds = 0u;
  if (params.first == 0u) {
    open = gates[params.out];
    rounds = gates[params.out + 1u];
  }
  if (predicate[params.at] == 0u) { open = 0u; }
  gates[params.out] = open;
  gates[params.out + 1u] = rounds + open;
}
`;
  return source("test", code, 2, false);
}
