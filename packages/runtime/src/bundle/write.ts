/**
 * Writes a bundle: both builds of the program, weights, recorded calls, the manifest, and the loader with its types. The
 * same description gives the same bytes.
 */
import { type EntryPoint, emitModule, slotsOf } from "@sinter/codegen-wasm";
import { dtypeOfArray, printGraphWithData, sameData, sizedSlot, type WasmFeatures } from "@sinter/ir";
import { lowerToLoops } from "../stages.ts";
import { wasmTarget } from "../wasm-target.ts";
import { declarations } from "./declarations.ts";
import { checkManifest } from "./loader/check.ts";
import { crc32 } from "./loader/crc32.ts";
import { typeText } from "./loader/dtypes.ts";
import { manifestEnd, manifestFile, moduleSection, vouched } from "./loader/vouch.ts";
import { loaderSource, printSource, selfTestSource, sizesSource } from "./loader-source.ts";
import {
  type BuildFile,
  type BuildName,
  bundleAbi,
  bundleFormat,
  type CallEntry,
  type FileEntry,
  type FunctionEntry,
  type Manifest,
  type SizeEntry,
  type SlotEntry,
  type TreeEntry,
} from "./manifest.ts";
import { type NamedTensor, writeSafetensors } from "./safetensors.ts";
import { selfTestOf } from "./self-test.ts";
import { sizeEntry, symbolsOf } from "./sizes.ts";
import type { BundleSpec, ConstantSpec, FunctionSpec, SpecTree } from "./spec.ts";

export type Files = Map<string, Uint8Array>;

/** The builds, the preferred one first. */
const targets: readonly { readonly build: BuildName; readonly file: string; readonly features: WasmFeatures }[] = [
  { build: "relaxed-simd", file: "program.relaxed.wasm", features: { relaxedSimd: true } },
  { build: "simd", file: "program.wasm", features: { relaxedSimd: false } },
];
const weightsFile = "weights.safetensors";
const identifier = /^[A-Za-z_$][\w$]*$/;

/** The files of a bundle by their path. Throws an Error where the description does not fit together, of which the manifest tells. */
export function writeBundle(spec: BundleSpec): Files {
  checkSpec(spec);
  const constants = [...spec.constants];
  const programs = targets.map(({ features }) =>
    spec.functions.map((f): EntryPoint => {
      const options = { backend: "wasm", fastMath: f.fastMath ?? false } as const;
      return { name: entryName(f.name), ...lowerToLoops(f.graph, options, wasmTarget({}, features)) };
    }),
  );
  const functions = spec.functions.map((f, i) =>
    functionEntry(
      f,
      programs.map((entries) => entries[i]!),
      constants,
    ),
  );
  const stored = [...spec.variables, ...constants];
  const embed = spec.weights === "embed";
  const modules = targets.map(({ features }, i) =>
    emitModule(programs[i]!, features, embed ? stored.map(bytesOf) : []),
  );
  const files: Files = new Map();
  const add = (file: string, bytes: Uint8Array): FileEntry => {
    files.set(file, bytes);
    return { file, bytes: bytes.length, crc32: crc32(bytes) };
  };
  const place = (position: number): { address?: number } =>
    embed ? { address: modules[0]!.addresses[position]! } : {};
  const program: Omit<Manifest, "builds" | "crc32"> = {
    format: bundleFormat,
    abi: bundleAbi,
    name: spec.name,
    sinter: spec.sinter,
    ...(spec.license === undefined ? {} : { license: spec.license }),
    ...(embed || stored.length === 0 ? {} : { weights: add(weightsFile, writeSafetensors(stored)) }),
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
    calls: programs[0]!.flatMap(callEntries),
    ...selfTestOf(spec, add),
    ...(spec.graphs === true ? { graphs: spec.functions.flatMap((f) => graphFiles(f, add)) } : {}),
  };
  const builds = targets.map(({ build, file }, i): BuildFile => {
    const features = ["simd128", "bulk-memory", ...(build === "simd" ? [] : ["relaxed-simd"])];
    return { build, features, ...add(file, withSection(modules[i]!.bytes, vouched(program))) };
  });
  const manifest = { ...program, builds };
  // Positions in the description that lead nowhere, and types that differ, are wrong here too.
  checkManifest({ ...manifest, crc32: "" });
  files.set(manifestFile, manifestBytes(manifest));
  files.set("index.js", loaderFile(manifest));
  files.set("selftest.js", new TextEncoder().encode(selfTestSource));
  files.set("index.d.ts", new TextEncoder().encode(declarations(manifest)));
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

/** What the manifest says of a function; constants of its code are appended to `constants`. */
function functionEntry(f: FunctionSpec, builds: readonly EntryPoint[], constants: ConstantSpec[]): FunctionEntry {
  const [{ loops, plan }] = builds as [EntryPoint];
  const own = [...f.constants];
  const { sizes, elements } = symbolsOf(f);
  const code = loops.buffers.filter((b) => b.kind === "const" && b.data !== undefined).sort((a, b) => a.slot - b.slot);
  for (const { slot, dtype, data } of code) {
    const { shape } = sizedSlot(slotsOf(loops, plan).find((s) => s.kind === "const" && s.index === slot)!);
    own[slot] = constantOf({ name: `${f.name}.constant`, dtype, shape, data: data! }, constants);
  }
  const tables = builds.map((build) =>
    slotsOf(build.loops, build.plan).map((slot): SlotEntry => {
      const { kind, index, dtype, shape } = slot;
      const own = kind === "sym" ? sizes!.findIndex(({ name }) => name === slot.name) : index;
      return { kind, index: own, dtype, shape: shape.map(sizeEntry) };
    }),
  );
  const arena = builds.map((build) => sizeEntry(build.plan.arenaBytes)).reduce(larger);
  const [slots, ...others] = tables.map((table) =>
    table.map((slot) => (slot.kind === "arena" ? { ...slot, shape: [wordsOf(arena)] } : slot)),
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

function callEntries({ loops }: EntryPoint): CallEntry[] {
  return loops.calls.map((call) => {
    if (call.kind !== "print") throw new Error(`${loops.name} calls a function of the host, which no bundle can hold`);
    const operands = call.operands.slice(1).map(({ dtype, shape }) => ({ dtype, shape }));
    return { kind: "print", format: call.format, operands };
  });
}

function graphFiles(f: FunctionSpec, add: (file: string, bytes: Uint8Array) => FileEntry): FileEntry[] {
  const { text, data } = printGraphWithData(f.graph);
  const tensors = [...data].map(
    ([name, array]): NamedTensor => ({ name, dtype: dtypeOfArray(array), shape: [array.length], data: array }),
  );
  const written = [add(`graph/${f.name}.ir`, new TextEncoder().encode(text))];
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
function loaderFile({ builds, calls, functions, weights, selfTest, sinter }: Omit<Manifest, "crc32">): Uint8Array {
  const names = [manifestFile, ...[...builds, weights, selfTest].flatMap((entry) => entry?.file ?? [])];
  const urls = names.map((name) => `  "${name}": new URL("./${name}", import.meta.url),\n`).join("");
  const print = calls.length > 0 ? printSource : "const SINTER_PRINT = {};\n";
  const sizes = functions.some((f) => f.sizes !== undefined) ? sizesSource : "const SINTER_SIZES = {};\n";
  return new TextEncoder().encode(
    `// Loads this bundle, which Sinter ${sinter.replace(/[^\w.-]/g, "")} wrote. See index.d.ts.\nconst SINTER_FILES = () => ({\n${urls}});\n${print}${sizes}${loaderSource}`,
  );
}
