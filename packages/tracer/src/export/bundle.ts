/**
 * `exportBundle`, `bundleFiles`: compiled functions as a folder of files that runs without Sinter. What goes into it is
 * gathered in `assemble.ts`; the runtime writes the files.
 */
import { type CompileForDevices, loadWebgpu, writeBundle } from "@sinter/runtime";
import { checkOptions, describeValue, SinterError } from "../errors.ts";
import type { VariableCell } from "../frame.ts";
import { tracedFunction } from "../function.ts";
import type { Spec } from "../spec.ts";
import type { Tensor } from "../tensor.ts";
import { isPlainObject } from "../trees.ts";
import { assemble, assembleAnywhere } from "./assemble.ts";
import { attributesOf } from "./attributes.ts";
import { writeBundleFolder } from "./files.ts";
import { identifier, isIdentifier } from "./names.ts";
import type { Target } from "./subject.ts";

/** Any compiled function. */
export type AnyCompiled = (...args: never[]) => unknown;

/** A value, or a description of it: specs may stand for the tensors in it. */
export type Described<T> =
  | T
  | Spec
  | (T extends Tensor | VariableCell | ArrayBufferView
      ? never
      : T extends object
        ? { readonly [K in keyof T]: Described<T[K]> }
        : never);

/** The arguments of a function, or those of each function of an object by its name. */
export type Inputs<F> = F extends (...args: infer A) => unknown
  ? { readonly [K in keyof A]: Described<A[K]> }
  : { readonly [K in keyof F]?: F[K] extends AnyCompiled ? Inputs<F[K]> : never };

export interface BundleOptions<F> {
  /**
   * The arguments to export for, as specs or as they are; by name where several functions are exported. What a function
   * with a signature, with a single trace or without parameters takes is known without. Sizes of specs that are null or
   * names are those of each call; equal names are equal sizes.
   */
  readonly inputs?: Inputs<F>;
  /**
   * What it runs on. `webgpu` and `both` are for functions without f64; such a bundle answers with promises, and picks its target
   * when it is loaded.
   */
  readonly target?: "wasm" | "webgpu" | "both";
  /**
   * `file` (unless said): weights.safetensors beside the program. `embed`: inside the program; WebGPU takes them from the
   * file all the same.
   */
  readonly weights?: "file" | "embed";
  /** An SPDX expression or a sentence, for the manifest. */
  readonly license?: string;
  /** Of the bundle. */
  readonly name?: string;
  /** false: no calls are recorded for `selfTest()`, so that nothing runs. */
  readonly selfTest?: boolean;
}

export interface ExportOptions<F> extends BundleOptions<F> {
  /** The folder to write; what is there is replaced at once when everything has been written. */
  readonly outDir: string;
}

export interface Exported {
  readonly outDir: string;
  /** What was written, by the path in the folder. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const optionNames = [
  "inputs",
  "target",
  "weights",
  "license",
  "name",
  "selfTest",
] as const satisfies readonly (keyof BundleOptions<unknown>)[];

/**
 * Writes a folder with a program that runs without Sinter: `import { load } from "./outDir/index.js"`. `f` is a compiled
 * function, or an object of compiled functions, which share their variables. Calls are recorded for the program's
 * `selfTest()`; variables keep their values. Throws ExportError, which lists all that cannot be exported, and writes
 * nothing then.
 */
export async function exportBundle<F extends object>(f: F, options: ExportOptions<F>): Promise<Exported> {
  checkOptions("exportBundle", options, [...optionNames, "outDir"]);
  const { outDir, ...rest } = options;
  if (typeof outDir !== "string" || outDir === "")
    throw new SinterError(`exportBundle: outDir must be the path of a folder, not ${describeValue(outDir)}`);
  const files = await written("exportBundle", f, rest as BundleOptions<F>);
  await writeBundleFolder("exportBundle", files, outDir);
  return { outDir, files };
}

/**
 * The files that `exportBundle` writes, by their paths in the folder: for a browser, which has no folders. For WebGPU they
 * are there later, as the compiler for it is.
 */
export function bundleFiles<F extends object>(
  f: F,
  options: BundleOptions<F> & { readonly target: "webgpu" | "both" },
): Promise<Map<string, Uint8Array>>;
export function bundleFiles<F extends object>(f: F, options?: BundleOptions<F>): Map<string, Uint8Array>;
export function bundleFiles<F extends object>(
  f: F,
  options: BundleOptions<F> = {},
): Map<string, Uint8Array> | Promise<Map<string, Uint8Array>> {
  checkOptions("bundleFiles", options, optionNames);
  if (checkedTarget("bundleFiles", options.target) !== "wasm") return written("bundleFiles", f, options);
  const { functions, variables, own } = described("bundleFiles", f, options);
  return writeBundle(assemble("bundleFiles", functions, variables, own));
}

async function written<F extends object>(
  caller: string,
  f: F,
  options: BundleOptions<F>,
): Promise<Map<string, Uint8Array>> {
  const { functions, variables, own } = described(caller, f, options);
  const spec = await assembleAnywhere(caller, functions, variables, own);
  return writeBundle(spec, own.target === "wasm" ? undefined : await compilerForDevices());
}

/** The compiler for what every device has. */
async function compilerForDevices(): Promise<CompileForDevices> {
  const { compileToWebgpu, everyDevice } = await loadWebgpu();
  return (graph, options) => compileToWebgpu(graph, options, everyDevice.features);
}

function described<F extends object>(caller: string, f: F, options: BundleOptions<F>) {
  const target = checkedTarget(caller, options.target);
  const { weights = "file", license, selfTest = true } = options;
  if (weights !== "file" && weights !== "embed")
    throw new SinterError(`${caller}: weights must be "file" or "embed", not ${describeValue(weights)}`);
  const { functions, variables, inputs, name } = parts(caller, f, options);
  const own = { inputs, weights, target, license, selfTest, graphs: false, unused: false, name: options.name ?? name };
  return { functions, variables, own };
}

function checkedTarget(caller: string, target: unknown = "wasm"): Target {
  if (target === "wasm" || target === "webgpu" || target === "both") return target;
  throw new SinterError(
    `${caller}: there is no target ${describeValue(target)}; there are "wasm", "webgpu" and "both"`,
  );
}

/** Functions by their names in the bundle, what is said of their arguments, and variables that have names. */
function parts<F extends object>(caller: string, f: F, { inputs, name }: BundleOptions<F>) {
  if (typeof f === "function") {
    const wanted = name ?? tracedFunction(f)?.name ?? "";
    const own = wanted === "anonymous" || isLost(wanted) ? "run" : identifier(wanted);
    const given = new Map<string, unknown>(inputs === undefined ? [] : [[own, inputs]]);
    return { functions: new Map<string, unknown>([[own, f]]), inputs: given, variables: noVariables, name: own };
  }
  const { functions, variables, aliases, others } = attributesOf(caller, f);
  const all = new Map([...functions, ...aliases]);
  const byPath = namesOf([...all.keys()]);
  // What is there by mistake is better told than left out.
  const found = new Map([...[...all].map(([path, value]) => [byPath.get(path)!, value] as const), ...others]);
  if (inputs !== undefined && !isPlainObject(inputs))
    throw new SinterError(
      `${caller}: inputs must be an object with the arguments of each function, { predict: [spec([32, 784])] }, not ${describeValue(inputs)}`,
    );
  const given = new Map(
    Object.entries(inputs ?? {}).map(([path, args]) => [byPath.get(path) ?? path, args as unknown]),
  );
  return { functions: found, inputs: given, variables, name: "bundle" };
}

/** Identifiers for paths. A path that has none, or only that of another, stays as it is, which is an error in a bundle. */
function namesOf(paths: readonly string[]): ReadonlyMap<string, string> {
  const taken = new Set(paths.filter(isIdentifier));
  return new Map(
    paths.map((path) => {
      const own = identifier(path);
      if (isIdentifier(path) || isLost(path) || taken.has(own)) return [path, path];
      taken.add(own);
      return [path, own];
    }),
  );
}

/** Whether nothing in a name can be part of an identifier. */
function isLost(name: string): boolean {
  return !/[\w$]/.test(name);
}

const noVariables: ReadonlyMap<string, VariableCell> = new Map();
