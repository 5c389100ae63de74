// A bundle with a function of every kind, from graphs written by hand, and ways to change its files.
import { type Dim, type Graph, parseGraph, type Value } from "@sinter/ir";
import { crc32 } from "../../src/bundle/loader/crc32.ts";
import { vouched } from "../../src/bundle/loader/vouch.ts";
import type { Manifest } from "../../src/bundle/manifest.ts";
import type { BundleSpec, FunctionSpec, SpecTree } from "../../src/bundle/spec.ts";
import { manifestBytes, withSection } from "../../src/bundle/write.ts";

const leaf = (index: number, dtype: "f32" | "f64" | "i32" | "u32" | "bool", shape: readonly Dim[]): SpecTree => ({
  kind: "tensor",
  index,
  dtype,
  shape,
});
const fixed = (value: Extract<SpecTree, { kind: "static" }>["value"]): SpecTree => ({ kind: "static", value });
const list = (...items: readonly SpecTree[]): SpecTree => ({ kind: "array", items });
const object = (fields: Readonly<Record<string, SpecTree>>): SpecTree => ({
  kind: "object",
  keys: Object.keys(fields),
  items: Object.values(fields),
});

/** Reads a variable and a captured tensor; statics on both sides. */
const predict: FunctionSpec = {
  name: "predict",
  graph: graph(`graph @predict(%x: f32[2,3], %b: f32[2], %w: state f32[3,2], %c: const f32[2]) {
    %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[2,2]
    %1 = broadcast %b {shape=[2,2], dims=[1]} : f32[2,2]
    %2 = add %0, %1 : f32[2,2]
    %3 = broadcast %c {shape=[2,2], dims=[1]} : f32[2,2]
    %4 = add %2, %3 : f32[2,2]
    %5 = reduce %4 {op=add, axes=[0,1]} : f32[]
    return %4, %5
  }`),
  params: [
    { name: "x", tree: leaf(0, "f32", [2, 3]) },
    { name: "options", tree: object({ bias: leaf(1, "f32", [2]), mode: fixed("fast"), scale: fixed(-0) }) },
  ],
  result: object({
    y: leaf(0, "f32", [2, 2]),
    parts: list(leaf(1, "f32", []), fixed(undefined), fixed(Number.NaN), fixed(true)),
    __proto__x: fixed(null),
  }),
  constants: [0],
  states: [{ variable: 0, out: -1 }],
  outs: [
    { kind: "result", index: 0 },
    { kind: "result", index: 1 },
  ],
};

/** Gives the old value of a variable and writes another; counts. */
const step: FunctionSpec = {
  name: "step",
  graph: graph(`graph @step(%w: state f32[3,2], %n: state i32[], %by: f32[]) {
    %0 = mul %w, %by : f32[3,2]
    %1 = const {dtype=i32, shape=[], data=[1]} : i32[]
    %2 = add %n, %1 : i32[]
    return state[0] %0, state[1] %2
  }`),
  params: [{ name: "by", tree: leaf(0, "f32", []) }],
  result: list(leaf(0, "f32", [3, 2]), leaf(1, "i32", [])),
  constants: [],
  states: [
    { variable: 0, out: 0 },
    { variable: 1, out: 1 },
  ],
  outs: [
    { kind: "state", index: 0 },
    { kind: "stateOut", index: 1 },
  ],
};

/** Fails where the sum is not positive. */
const guarded: FunctionSpec = {
  name: "guarded",
  graph: graph(`graph @guarded(%x: f32[3], %n: state i32[]) {
    %0 = reduce %x {op=add, axes=[0]} : f32[]
    %1 = const {dtype=f32, shape=[], data=[0]} : f32[]
    %2 = gt %0, %1 : bool[]
    %3 = const {dtype=i32, shape=[], data=[0]} : i32[]
    %4 = const {dtype=i32, shape=[], data=[1]} : i32[]
    %5 = select %2, %3, %4 : i32[]
    %6 = add %n, %4 : i32[]
    return state[0] %6, %0, %5
  }`),
  params: [{ name: "x", tree: leaf(0, "f32", [3]) }],
  result: leaf(0, "f32", []),
  constants: [],
  states: [{ variable: 1, out: 0 }],
  outs: [{ kind: "result", index: 0 }],
  check: { result: 1, messages: ["the sum must be positive"] },
};

/** Two variables exchange their values, and an argument goes through. */
const swap: FunctionSpec = {
  name: "swap",
  graph: graph(`graph @swap(%x: bool[3], %a: state f64[2], %b: state f64[2]) {
    %0 = not %x : bool[3]
    return %0
  }`),
  params: [{ name: "x", tree: leaf(0, "bool", [3]) }],
  result: list(leaf(0, "bool", [3]), leaf(1, "bool", [3]), leaf(2, "f64", [2])),
  constants: [],
  states: [
    { variable: 2, out: -1, from: { kind: "state", index: 1 } },
    { variable: 3, out: -1, from: { kind: "state", index: 0 } },
  ],
  outs: [
    { kind: "result", index: 0 },
    { kind: "arg", index: 0 },
    { kind: "state", index: 0 },
  ],
};

/** Prints; a large constant is part of the code. */
const shown: FunctionSpec = {
  name: "shown",
  graph: graph(`graph @shown(%x: u32[40]) {
    %s = const {dtype=i32, shape=[], data=[0]} : i32[]
    %0 = const {dtype=u32, shape=[40], data=[${Array.from({ length: 40 }, (_, i) => i * i).join()}]} : u32[40]
    %1 = add %x, %0 : u32[40]
    %2 = reduce %1 {op=max, axes=[0]} : u32[]
    %3 = print %s, %2 {format=["largest ", ""]} : i32[]
    return %1, %3
  }`),
  params: [{ name: "x", tree: leaf(0, "u32", [40]) }],
  result: leaf(0, "u32", [40]),
  constants: [],
  states: [],
  outs: [{ kind: "result", index: 0 }],
  check: { result: 1, messages: [] },
};

const rowsGraph = graph(`graph @rows(%x: f32[n,m], %w: f32[m,2]) where m in [1,2147483647], n in [1,2147483647] {
  %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[n,2]
  %1 = concat %x, %x {axis=0} : f32[2*n,m]
  %2 = reduce %1 {op=add, axes=[1]} : f32[2*n]
  return %2, %0
}`);
const treeOf = (value: Value, index: number): SpecTree =>
  leaf(index, "f32", (value.type as { readonly shape: readonly Dim[] }).shape);

/** A function of two symbolic sizes, with recorded calls: sums of the rows, twice, and a product. */
export function sizedSpec(): BundleSpec {
  const { variables: _, constants: __, ...rest } = exampleSpec();
  return {
    ...rest,
    functions: [
      {
        name: "rows",
        graph: rowsGraph,
        params: rowsGraph.params.map(({ name, value }, i) => ({ name, tree: treeOf(value, i) })),
        result: list(...rowsGraph.results.map(({ value }, i) => treeOf(value, i))),
        constants: [],
        states: [],
        outs: [
          { kind: "result", index: 0 },
          { kind: "result", index: 1 },
        ],
      },
    ],
    variables: [],
    constants: [],
    recorded: [
      {
        function: "rows",
        sizes: new Map([
          ["n", 1],
          ["m", 2],
        ]),
        args: [Float32Array.of(1, 2), Float32Array.of(1, 0, 0, 1)],
        results: [Float32Array.of(3, 3), Float32Array.of(1, 2)],
        after: new Map(),
      },
      {
        function: "rows",
        sizes: new Map([
          ["n", 3],
          ["m", 1],
        ]),
        args: [Float32Array.of(1, 2, 3), Float32Array.of(1, 2)],
        results: [Float32Array.of(1, 2, 3, 1, 2, 3), Float32Array.of(1, 2, 2, 4, 3, 6)],
        after: new Map(),
      },
    ],
  };
}

function graph(text: string): Graph {
  return parseGraph(text);
}

export const weights = Float32Array.of(1, 2, 3, 4, 5, 6);

/** The description of the bundle; `functions` picks some of them. */
export function exampleSpec(options: Partial<BundleSpec> = {}): BundleSpec {
  return {
    name: "example",
    sinter: "0.0.0",
    functions: [predict, step, guarded, swap, shown],
    variables: [
      { name: "w", dtype: "f32", shape: [3, 2], data: weights, trainable: true },
      { name: "n", dtype: "i32", shape: [], data: Int32Array.of(7), trainable: false },
      { name: "a", dtype: "f64", shape: [2], data: Float64Array.of(0.1, 0.2), trainable: true },
      { name: "__proto__", dtype: "f64", shape: [2], data: Float64Array.of(3, 4), trainable: true },
    ],
    constants: [{ name: "c", dtype: "f32", shape: [2], data: Float32Array.of(10, 20) }],
    weights: "file",
    recorded: [
      {
        function: "predict",
        args: [Float32Array.of(1, 0, 0, 0, 1, 0), Float32Array.of(0.5, 0.25)],
        results: [Float32Array.of(11.5, 22.25, 13.5, 24.25), Float32Array.of(71.5)],
        after: new Map(),
      },
      {
        function: "step",
        args: [Float32Array.of(2)],
        results: [weights, Int32Array.of(8)],
        after: new Map<number, Float32Array | Int32Array>([
          [0, weights.map((x) => 2 * x)],
          [1, Int32Array.of(8)],
        ]),
      },
    ],
    ...options,
  };
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The manifest as loose data, to be changed. */
export function looseManifest(files: ReadonlyMap<string, Uint8Array>): { [key: string]: Json } {
  const { crc32: _, ...rest } = JSON.parse(new TextDecoder().decode(files.get("manifest.json")));
  return rest as { [key: string]: Json };
}

/** The files with another manifest, whose checksum is right. */
export function withManifest(files: ReadonlyMap<string, Uint8Array>, manifest: unknown): Map<string, Uint8Array> {
  return new Map([...files, ["manifest.json", manifestBytes(manifest as Omit<Manifest, "crc32">)]]);
}

/** The same, with modules that say that they were written with this manifest: nothing but its fields can be wrong. */
export function withSealedManifest(files: ReadonlyMap<string, Uint8Array>, manifest: unknown): Map<string, Uint8Array> {
  const program = manifest as Omit<Manifest, "crc32">;
  const own = new Map(files);
  for (const name of ["program.wasm", "program.relaxed.wasm"]) {
    const code = files.get(name)!;
    const bare = code.subarray(0, code.length - withSection(new Uint8Array(0), "xxxxxxxx").length);
    const sealed = withSection(bare, vouched(program));
    own.set(name, sealed);
    const entries = Array.isArray(program.builds) ? (program.builds as unknown[]) : [];
    for (const entry of entries as ({ file?: unknown; crc32: string } | null)[])
      if (entry?.file === name && entry.crc32 === crc32(code)) entry.crc32 = crc32(sealed);
  }
  return withManifest(own, manifest);
}

/** The files with another content of one, which the manifest says is right. */
export function withFile(
  files: ReadonlyMap<string, Uint8Array>,
  name: string,
  bytes: Uint8Array,
): Map<string, Uint8Array> {
  const manifest = looseManifest(files);
  const visit = (value: Json): void => {
    if (typeof value !== "object" || value === null) return;
    if (!Array.isArray(value) && value["file"] === name)
      Object.assign(value, { bytes: bytes.length, crc32: crc32(bytes) });
    for (const item of Object.values(value)) visit(item);
  };
  visit(manifest);
  const own = new Map([...files, [name, bytes]]);
  return name.endsWith(".wasm") ? withManifest(own, manifest) : withSealedManifest(own, manifest);
}

/** The manifest that begins like this and ends with the checksum of it. */
export function sign(body: string): Uint8Array {
  return new TextEncoder().encode(`${body}"crc32": "${crc32(new TextEncoder().encode(body))}"\n}\n`);
}
