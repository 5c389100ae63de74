/** The `index.d.ts` of a bundle: the traced signatures as TypeScript types. */
import type { DType } from "@sinter/ir/program";
import { typeText } from "./loader/dtypes.ts";
import type { FunctionEntry, Manifest, SizeEntry, TreeEntry } from "./manifest.ts";

const arrays: Readonly<Record<DType, string>> = {
  f32: "Float32Array",
  f64: "Float64Array",
  i32: "Int32Array",
  u32: "Uint32Array",
  bool: "Uint8Array",
};
const identifier = /^[A-Za-z_$][\w$]*$/;

/** The declarations; whoever imports `load` from `index.js` gets them. */
export function declarations(manifest: Omit<Manifest, "crc32">): string {
  const { name, sinter, license, functions, variables, builds } = manifest;
  const hasShaders = builds.some(({ build }) => build === "webgpu");
  const answers: Answers = (type) => (hasShaders ? `Promise<${type}>` : type);
  const notes = [
    `The bundle ${line(name)}, written by Sinter ${line(sinter)}.`,
    ...(license === undefined ? [] : [`License: ${line(license)}`]),
    `Builds: ${builds.map(({ build, bytes }) => `${build} (${bytes} bytes)`).join(", ")}.`,
  ];
  const records = functions
    .map((f) => `  ${functionDoc(f)}  readonly ${key(f.name)}: ${signature(f, answers)};\n`)
    .join("");
  const cells = variables
    .map(
      (v) =>
        `  /** ${typeText(v)}${v.trainable ? ", trainable" : ""} */\n  readonly ${key(v.name)}: Variable<"${v.dtype}", ${tuple(v.shape)}>;\n`,
    )
    .join("");
  const buildNames = [...new Set(builds.map(({ build }) => JSON.stringify(build)))].reverse();
  return `${doc(notes)}
${preamble(buildNames.join(" | "), hasShaders, answers)}
export interface Functions {
${records}}

export interface Variables {
${cells}}

export interface Program {
  readonly name: string;
  /** The build that runs. */
  readonly build: Build;
${hasShaders ? `  /** Where it runs. */\n  readonly target: Target;\n` : ""}  ${functionDoc(functions[0]!)}  readonly run: Functions[${JSON.stringify(functions[0]!.name)}];
  readonly functions: Functions;
  readonly variables: Variables;
  /** The values of all variables, as a safetensors file. */
  saveState(): ${answers("Uint8Array<ArrayBuffer>")};
  /** Gives all variables the values of a file from \`saveState\`; changes nothing where it does not fit. */
  loadState(bytes: Uint8Array): ${answers("void")};
  /** Replays the calls that were recorded at the export, in memory of their own, and compares. */
  selfTest(name?: keyof Functions): Promise<SelfTestReport>;
  /** Lets go of the memory; again, it does nothing. Using the program afterwards is an error. */
  dispose(): void;
}

/** Loads the files beside this one, or those that the options name. Throws BundleError. */
export declare function load(options?: LoadOptions): Promise<Program>;
`;
}

/** What is written for a type that comes out of a program: itself, or a promise of it. */
type Answers = (type: string) => string;

function preamble(builds: string, hasShaders: boolean, answers: Answers): string {
  return `
export type Build = ${builds};
${hasShaders ? targetTypes : ""}
interface Arrays {
  f32: Float32Array<ArrayBuffer>;
  f64: Float64Array<ArrayBuffer>;
  i32: Int32Array<ArrayBuffer>;
  u32: Uint32Array<ArrayBuffer>;
  /** One byte for each truth value. */
  bool: Uint8Array<ArrayBuffer>;
}

/** A tensor that comes out: its own copy of the elements, in row-major order. */
export interface Result<D extends keyof Arrays, S extends readonly number[]> {
  readonly data: Arrays[D];
  readonly shape: S;
  readonly dtype: D;
}

/** Numbers, or lists of them, nested as deep as the shape has sizes. */
export type Nested<T, S extends readonly unknown[]> = S extends readonly [unknown, ...infer R] ? readonly Nested<T, R>[] : T;

/** A tensor that goes in: all its elements in row-major order, the same with its shape, a tensor of Sinter, or nested lists. */
export type Input<D extends keyof Arrays, A, S extends readonly number[]> =
  | A
  | { readonly data: A; readonly shape?: readonly number[]; readonly dtype?: D }
  | { readonly shape: readonly number[]; readonly dtype: string; dataSync(): ArrayBufferView }
  | Nested<D extends "bool" ? boolean | 0 | 1 : number, S>;

export interface Variable<D extends keyof Arrays, S extends readonly number[]> {
  readonly name: string;
  readonly dtype: D;
  readonly shape: S;
  readonly trainable: boolean;
  /** A copy of its value. */
  read(): ${answers("Arrays[D]")};
  write(value: Input<D, D extends "f32" ? Float32Array : D extends "f64" ? Float64Array : D extends "i32" ? Int32Array : D extends "u32" ? Uint32Array : Uint8Array, S>): ${answers("void")};
}

export interface LoadOptions {
  /** The folder to load from, where it is not beside this file. */
  readonly base?: string | URL;
  /** The files' contents by name, where they are not to be read at all. */
  readonly files?: ReadonlyMap<string, Uint8Array> | Readonly<Record<string, Uint8Array>>;
  /** The build to take; by default the first that the engine can run. */
  readonly build?: Build;
${hasShaders ? targetOptions : ""}  /** Takes what the program prints; console.log by default. */
  readonly log?: (text: string) => void;
}

export interface SelfTestReport {
  readonly ok: boolean;
  /** bits: everything must be the same, for this is the build and the rounding that were recorded. */
  readonly rule: "bits" | "tolerance";
  readonly calls: number;
  readonly tensors: number;
  /** The tensor furthest away, as a part of its largest magnitude. */
  readonly worst: { readonly tensor: string; readonly difference: number; readonly allowed: number } | undefined;
}

/** Thrown for a bundle that is incomplete, altered, or not for this engine. */
export declare class BundleError extends Error {}
/** Thrown where a check of a function failed; no variable has changed. */
export declare class AssertionError extends Error {}
`;
}

const targetTypes = `export type Target = "wasm" | "webgpu";

/** Where TypeScript knows WebGPU, its types. */
export type Device = typeof globalThis extends { GPUDevice: { prototype: infer D } } ? D : object;
export type Gpu = typeof globalThis extends { GPU: { prototype: infer G } } ? G : object;
`;

const targetOptions = `  /** Where to run; by default on a GPU, and without one in WebAssembly, if the bundle has a program for it. */
  readonly target?: Target;
  /** The GPUDevice to run on; without it one is made. */
  readonly device?: Device;
  /** What a device comes from, where that is not navigator.gpu: in Node create([]) of the package webgpu. */
  readonly gpu?: Gpu;
`;

function signature({ params, result }: FunctionEntry, answers: Answers): string {
  const required = params.findLastIndex(({ tree }) => hasTensor(tree));
  const list = params.map(({ name, tree }, i) => `${name}${i > required ? "?" : ""}: ${inputType(tree)}`);
  return `(${list.join(", ")}) => ${answers(resultType(result))}`;
}

/** `predict(x: f32[2,3]) -> f32[2]` on one line. */
export function functionText({ name, params, result }: FunctionEntry): string {
  return `${name}(${params.map((p) => `${p.name}: ${treeText(p.tree)}`).join(", ")}) -> ${treeText(result)}`;
}

function functionDoc(f: FunctionEntry): string {
  const sizes = f.sizes?.map(({ name, lo }) => `${name}: ${lo} or more`) ?? [];
  const notes = [
    functionText(f),
    ...sizes,
    ...(f.check === undefined ? [] : ["Throws AssertionError where a check fails."]),
  ];
  return doc(notes, "  ");
}

function hasTensor(tree: TreeEntry): boolean {
  return tree.kind === "tensor" || ((tree.kind === "array" || tree.kind === "object") && tree.items.some(hasTensor));
}

function inputType(tree: TreeEntry): string {
  switch (tree.kind) {
    case "tensor":
      return `Input<"${tree.dtype}", ${arrays[tree.dtype]}, ${tuple(tree.shape)}>`;
    case "static":
    case "special":
      return staticType(tree);
    case "array":
      return `readonly [${tree.items.map(inputType).join(", ")}]`;
    default:
      return object(tree, (item) => inputType(item), true);
  }
}

function resultType(tree: TreeEntry): string {
  switch (tree.kind) {
    case "tensor":
      return `Result<"${tree.dtype}", ${tuple(tree.shape)}>`;
    case "static":
    case "special":
      return staticType(tree);
    case "array":
      return `[${tree.items.map(resultType).join(", ")}]`;
    default:
      return object(tree, (item) => resultType(item), false);
  }
}

function object(
  { keys, items }: Extract<TreeEntry, { kind: "object" }>,
  type: (item: TreeEntry) => string,
  optional: boolean,
): string {
  if (keys.length === 0) return "Record<string, never>";
  const fields = keys.map((name, i) => {
    const item = items[i]!;
    return `readonly ${key(name)}${optional && !hasTensor(item) ? "?" : ""}: ${type(item)}`;
  });
  return `{ ${fields.join("; ")} }`;
}

function staticType(tree: Extract<TreeEntry, { kind: "static" | "special" }>): string {
  if (tree.kind === "special") return tree.value === "undefined" ? "undefined" : "number";
  const { value } = tree;
  return typeof value === "string" ? text(value) : String(value);
}

/** A size that calls choose is any number. */
function tuple(shape: readonly SizeEntry[]): string {
  return `readonly [${shape.map((size) => (typeof size === "number" ? size : "number")).join(", ")}]`;
}

/** `batch`, `(batch + 1)`. */
function sizeText(size: SizeEntry): string {
  if (typeof size !== "object") return String(size);
  const [op, a, b] = size;
  return op === "min" || op === "max"
    ? `${op}(${sizeText(a)}, ${sizeText(b)})`
    : `(${sizeText(a)} ${op} ${sizeText(b)})`;
}

function treeText(tree: TreeEntry): string {
  switch (tree.kind) {
    case "tensor":
      return typeText({ dtype: tree.dtype, shape: tree.shape.map(sizeText) });
    case "static":
      return line(JSON.stringify(tree.value));
    case "special":
      return tree.value;
    case "array":
      return `[${tree.items.map(treeText).join(", ")}]`;
    default:
      return `{ ${tree.keys.map((name, i) => `${line(name)}: ${treeText(tree.items[i]!)}`).join(", ")} }`;
  }
}

/** A text as a literal. */
function text(value: string): string {
  return JSON.stringify(value).replace(/[\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16)}`);
}
function key(name: string): string {
  return identifier.test(name) ? name : text(name);
}
/** A text that cannot end a comment or a line. */
function line(value: string): string {
  return value.replace(/[\p{Cc}\u2028\u2029]+/gu, " ").replaceAll("*/", "* /");
}
function doc(notes: readonly string[], indent = ""): string {
  return notes.length === 1
    ? `/** ${notes[0]} */\n`
    : `/**\n${notes.map((note) => `${indent} * ${note}\n`).join("")}${indent} */\n`;
}
