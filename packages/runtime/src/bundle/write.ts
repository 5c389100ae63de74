/**
 * Writes a bundle: the builds of the program, weights, recorded calls, the manifest, and the loader with its types. The
 * same description gives the same bytes.
 */
import { type EntryPoint, emitModule, slotsOf } from "@sinter/codegen-wasm";
import {
  type Dim,
  dtypeOfArray,
  type LoopProgram,
  printGraphWithData,
  type Slot,
  sameData,
  sizedSlot,
  type WasmFeatures,
} from "@sinter/ir";
import { lowerToLoops } from "../stages.ts";
import { wasmTarget } from "../wasm-target.ts";
import { declarations } from "./declarations.ts";
import { type DispatchPlan, dispatchFile, kernelsFile } from "./dispatch.ts";
import { checkManifest } from "./loader/check.ts";
import { crc32 } from "./loader/crc32.ts";
import { typeText } from "./loader/dtypes.ts";
import { manifestEnd, manifestFile, moduleSection, vouched } from "./loader/vouch.ts";
import {
  loaderSource,
  printSource,
  selfTestSource,
  sizesSource,
  targetsSource,
  webgpuSource,
} from "./loader-source.ts";
import {
  type BuildFile,
  bundleAbi,
  bundleFormat,
  type CallEntry,
  type FileEntry,
  type FunctionEntry,
  type Manifest,
  type SizeEntry,
  type SlotEntry,
  type TreeEntry,
  type WasmBuild,
} from "./manifest.ts";
import { type NamedTensor, writeSafetensors } from "./safetensors.ts";
import { selfTestOf } from "./self-test.ts";
import { sizeEntry, symbolsOf } from "./sizes.ts";
import type { BundleSpec, ConstantSpec, FunctionSpec, SpecTree } from "./spec.ts";
import {
  type CompileForDevices,
  type DeviceMade,
  dispatchFunction,
  dispatchText,
  Kernels,
  limitsOf,
} from "./write-webgpu.ts";

export type Files = Map<string, Uint8Array>;

/** The builds for WebAssembly, the preferred one first. */
const targets: readonly {
  readonly build: WasmBuild["build"];
  readonly file: string;
  readonly features: WasmFeatures;
}[] = [
  { build: "relaxed-simd", file: "program.relaxed.wasm", features: { relaxedSimd: true } },
  { build: "simd", file: "program.wasm", features: { relaxedSimd: false } },
];
const weightsFile = "weights.safetensors";
const identifier = /^[A-Za-z_$][\w$]*$/;

/**
 * The files of a bundle by their path. `compile` is needed where the target is not wasm alone. Throws an Error where the
 * description does not fit together, of which the manifest tells.
 */
export function writeBundle(spec: BundleSpec, compile?: CompileForDevices): Files {
  checkSpec(spec);
  const { target = "wasm" } = spec;
  const constants = [...spec.constants];
  const wasm = target === "webgpu" ? [] : targets;
  const programs = wasm.map(({ features }) =>
    spec.functions.map((f): EntryPoint => {
      const options = { backend: "wasm", fastMath: f.fastMath ?? false } as const;
      return { name: entryName(f.name), ...lowerToLoops(f.graph, options, wasmTarget({}, features)) };
    }),
  );
  const made = target === "wasm" ? [] : spec.functions.map((f) => compile!(f.graph, { fastMath: f.fastMath ?? false }));
  const functions = spec.functions.map((f, i) => {
    const tables = wasm.length === 0 ? [tableOfDevice(made[i]!)] : programs.map((entries) => tableOf(entries[i]!));
    return functionEntry(f, tables, constants);
  });
  const kernels = new Kernels();
  const dispatches = made.map((each, i) => {
    const f = spec.functions[i]!;
    return dispatchFunction(f, each, kernels.add(f.name, each), ownConstants(f, tableOfDevice(each), constants));
  });
  const stored = [...spec.variables, ...constants];
  const embed = spec.weights === "embed" && wasm.length > 0;
  const modules = wasm.map(({ features }, i) => emitModule(programs[i]!, features, embed ? stored.map(bytesOf) : []));
  const files: Files = new Map();
  const add = (file: string, content: Uint8Array | string): FileEntry => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    files.set(file, bytes);
    return { file, bytes: bytes.length, crc32: crc32(bytes) };
  };
  const place = (position: number): { address?: number } =>
    embed ? { address: modules[0]!.addresses[position]! } : {};
  // Shaders have no data of their own.
  const inFile = stored.length > 0 && (!embed || made.length > 0);
  const program: Omit<Manifest, "builds" | "crc32"> = {
    format: bundleFormat,
    abi: bundleAbi,
    name: spec.name,
    sinter: spec.sinter,
    ...(spec.license === undefined ? {} : { license: spec.license }),
    ...(inFile ? { weights: add(weightsFile, writeSafetensors(stored)) } : {}),
    variables: spec.variables.map(({ name, dtype, shape, trainable }, i) => ({
      name,
      dtype,
      shape,
      trainable,
      ...place(i),
    })),
    constants: constants.map(({ name, dtype, shape }, i) => ({
      name,
      dtype,
      shape,
      ...place(spec.variables.length + i),
    })),
    functions,
    calls: (programs[0] ?? made).flatMap(callEntries),
    ...selfTestOf(spec, add),
    ...(spec.graphs === true ? { graphs: spec.functions.flatMap((f) => graphFiles(f, add)) } : {}),
  };
  const builds = wasm.map(({ build, file }, i): BuildFile => {
    const features = ["simd128", "bulk-memory", ...(build === "simd" ? [] : ["relaxed-simd"])];
    return { build, features, ...add(file, withSection(modules[i]!.bytes, vouched(program))) };
  });
  if (made.length > 0) {
    const plan: DispatchPlan = { manifest: vouched(program), shaders: kernels.shaders, functions: dispatches };
    builds.push({
      build: "webgpu",
      features: ["webgpu"],
      ...add(kernelsFile, kernels.text()),
      dispatch: add(dispatchFile, dispatchText(plan)),
      limits: limitsOf(made.map((each) => each.program)),
    });
  }
  const manifest = { ...program, builds };
  // Positions in the description that lead nowhere, and types that differ, are wrong here too.
  checkManifest({ ...manifest, crc32: "" });
  files.set(manifestFile, manifestBytes(manifest));
  add("index.js", loaderText(manifest));
  if (made.length > 0) add("webgpu.js", webgpuSource);
  add("selftest.js", selfTestSource);
  add("index.d.ts", declarations(manifest));
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The module with a checksum as a custom section behind all others. */
export function withSection(module: Uint8Array, checksum: string): Uint8Array {
  const content = new TextEncoder().encode(`${String.fromCharCode(moduleSection.length)}${moduleSection}${checksum}`);
  const out = new Uint8Array(module.length + 2 + content.length);
  out.set(module);
  out.set([0, content.length, ...content], module.length);
  return out;
}

function entryName(name: string): string {
  return `run_${name}`;
}

function checkSpec(spec: BundleSpec): void {
  const fail = (why: string): never => {
    throw new Error(`writeBundle: ${why}`);
  };
  const distinct = (names: readonly string[], what: string): void => {
    for (const [i, name] of names.entries())
      if (names.indexOf(name) < i) fail(`two ${what} are called ${JSON.stringify(name)}`);
  };
  if (spec.functions.length === 0) fail("there is no function");
  for (const { name } of spec.functions) if (!identifier.test(name)) fail(`${JSON.stringify(name)} is no identifier`);
  distinct(
    spec.functions.map((f) => f.name),
    "functions",
  );
  const stored = [...spec.variables, ...spec.constants];
  distinct(["__metadata__", ...stored.map((each) => each.name)], "variables or constants");
}

/** How a function is called: its slots, where its working memory has `arenaBytes`. */
interface Table {
  readonly slots: readonly Slot[];
  readonly arenaBytes: Dim;
  readonly loops: LoopProgram;
}

function tableOf({ loops, plan }: EntryPoint): Table {
  return { loops, slots: slotsOf(loops, plan), arenaBytes: plan.arenaBytes };
}

function tableOfDevice({ loops, program: { slots, arenaBytes } }: DeviceMade): Table {
  return { loops, slots, arenaBytes };
}

/** What the manifest says of a function; constants of its code are appended to `constants`. */
function functionEntry(f: FunctionSpec, tables: readonly Table[], constants: ConstantSpec[]): FunctionEntry {
  const { sizes, elements } = symbolsOf(f);
  const own = ownConstants(f, tables[0]!, constants);
  const lists = tables.map((table) =>
    table.slots.map((slot): SlotEntry => {
      const { kind, index, dtype, shape } = slot;
      const position = kind === "sym" ? sizes!.findIndex(({ name }) => name === slot.name) : index;
      return { kind, index: position, dtype, shape: shape.map(sizeEntry) };
    }),
  );
  const arena = tables.map(({ arenaBytes }) => sizeEntry(arenaBytes)).reduce(larger);
  const [slots, ...others] = lists.map((list) =>
    list.map((slot) => (slot.kind === "arena" ? { ...slot, shape: [wordsOf(arena)] } : slot)),
  ) as [SlotEntry[]];
  for (const other of others)
    if (JSON.stringify(other) !== JSON.stringify(slots)) throw new Error(`${f.name}: the builds' tables differ`);
  return {
    name: f.name,
    ...(sizes === undefined ? {} : { sizes, elements: elements! }),
    entry: entryName(f.name),
    params: parametersOf(f),
    result: treeEntry(f.result),
    slots,
    constants: own,
    states: f.states,
    outs: f.outs,
    ...(f.check === undefined ? {} : { check: f.check }),
  };
}

/** By const slot: the constant. Those of the code are appended where there is no equal one. */
function ownConstants(f: FunctionSpec, { loops, slots }: Table, constants: ConstantSpec[]): number[] {
  const own = [...f.constants];
  const code = loops.buffers.filter((b) => b.kind === "const" && b.data !== undefined).sort((a, b) => a.slot - b.slot);
  for (const { slot, dtype, data } of code) {
    const { shape } = sizedSlot(slots.find((s) => s.kind === "const" && s.index === slot)!);
    own[slot] = constantOf({ name: `${f.name}.constant`, dtype, shape, data: data! }, constants);
  }
  return own;
}

function larger(a: SizeEntry, b: SizeEntry): SizeEntry {
  if (typeof a === "number" && typeof b === "number") return Math.max(a, b);
  return JSON.stringify(a) === JSON.stringify(b) ? a : ["max", a, b];
}

/** How many words so many bytes are, rounded up. */
function wordsOf(bytes: SizeEntry): SizeEntry {
  return typeof bytes === "number" ? Math.ceil(bytes / 4) : ["/", ["+", bytes, 3], 4];
}

/** Names that are distinct and identifiers, also where the source has patterns. */
function parametersOf(f: FunctionSpec): FunctionEntry["params"] {
  const taken = new Set<string>();
  return f.params.map(({ name, tree }, i) => {
    let own = identifier.test(name) ? name : `arg${i}`;
    while (taken.has(own)) own += "_";
    taken.add(own);
    return { name: own, tree: treeEntry(tree) };
  });
}

/** Position of a constant of code: of an equal one, or appended. */
function constantOf(wanted: ConstantSpec, constants: ConstantSpec[]): number {
  const text = typeText(wanted);
  const known = constants.findIndex((c) => typeText(c) === text && sameData(c.data, wanted.data));
  return known >= 0 ? known : constants.push({ ...wanted, name: `${wanted.name}.${constants.length}` }) - 1;
}

function bytesOf({ data }: NamedTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function treeEntry(tree: SpecTree): TreeEntry {
  switch (tree.kind) {
    case "tensor":
      return { kind: "tensor", index: tree.index, dtype: tree.dtype, shape: tree.shape.map(sizeEntry) };
    case "static": {
      const { value } = tree;
      if (value === undefined || (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)))) {
        const text = Object.is(value, -0) ? "-0" : String(value);
        return { kind: "special", value: text as Extract<TreeEntry, { kind: "special" }>["value"] };
      }
      return { kind: "static", value };
    }
    case "array":
      return { kind: "array", items: tree.items.map(treeEntry) };
    case "object":
      return { kind: "object", keys: tree.keys, items: tree.items.map(treeEntry) };
    default:
      return tree satisfies never;
  }
}

function callEntries({ loops }: { readonly loops: LoopProgram }): CallEntry[] {
  return loops.calls.map((call) => {
    if (call.kind !== "print") throw new Error(`${loops.name} calls a function of the host, which no bundle can hold`);
    const operands = call.operands.slice(1).map(({ dtype, shape }) => ({ dtype, shape }));
    return { kind: "print", format: call.format, operands };
  });
}

function graphFiles(f: FunctionSpec, add: (file: string, content: Uint8Array | string) => FileEntry): FileEntry[] {
  const { text, data } = printGraphWithData(f.graph);
  const tensors = [...data].map(
    ([name, array]): NamedTensor => ({ name, dtype: dtypeOfArray(array), shape: [array.length], data: array }),
  );
  const written = [add(`graph/${f.name}.ir`, text)];
  if (tensors.length > 0) written.push(add(`graph/${f.name}.safetensors`, writeSafetensors(tensors)));
  return written;
}

/** JSON with lists of numbers on one line, and the checksum of everything before it at the end. */
export function manifestBytes(manifest: Omit<Manifest, "crc32">): Uint8Array {
  const json = JSON.stringify(manifest, undefined, 2)
    .replace(
      /\[\n\s*(-?[\d.]+(?:,\n\s*-?[\d.]+)*)\n\s*\]/g,
      (_, items: string) => `[${items.split(/,\n\s*/).join(", ")}]`,
    )
    .replace(/\n\}$/, ",\n  ");
  const body = new TextEncoder().encode(json);
  const end = new TextEncoder().encode(manifestEnd.replace("xxxxxxxx", crc32(body)));
  const out = new Uint8Array(body.length + end.length);
  out.set(body);
  out.set(end, body.length);
  return out;
}

/** The loader, with the places of the files written out as bundlers want them. */
function loaderText({ builds, calls, functions, weights, selfTest, sinter }: Omit<Manifest, "crc32">): string {
  const entries = [...builds.flatMap((build) => (build.build === "webgpu" ? [build, build.dispatch] : [build]))];
  const names = [manifestFile, ...[...entries, weights, selfTest].flatMap((entry) => entry?.file ?? [])];
  const urls = names.map((name) => `  "${name}": new URL("./${name}", import.meta.url),\n`).join("");
  const print = calls.length > 0 ? printSource : "const SINTER_PRINT = {};\n";
  const sizes = functions.some((f) => f.sizes !== undefined) ? sizesSource : "const SINTER_SIZES = {};\n";
  const source = entries.length > builds.length ? targetsSource : loaderSource;
  return `// Loads this bundle, which Sinter ${sinter.replace(/[^\w.-]/g, "")} wrote. See index.d.ts.\nconst SINTER_FILES = () => ({\n${urls}});\n${print}${sizes}${source}`;
}
