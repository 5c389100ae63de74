/**
 * `saveModel`, `loadModel`: a bundle with the graphs of its functions beside it, from which the library makes compiled
 * functions again. `model.json` says where functions and variables stood in the model.
 */
import {
  type BundleSource,
  type BundleSpec,
  openBundle,
  type SpecTree,
  theMachine,
  writeBundle,
} from "@sinter/runtime";
import { isStatic } from "../dims.ts";
import { checkOptions, describeValue, ExportError, SinterError } from "../errors.ts";
import { lazyFromData } from "../lazy.ts";
import { Tensor } from "../tensor.ts";
import { isPlainObject } from "../trees.ts";
import { Variable } from "../variable.ts";
import { type AssembleOptions, assemble, assembleAnywhere } from "./assemble.ts";
import { attributesOf, build } from "./attributes.ts";
import type { Inputs } from "./bundle.ts";
import { writeBundleFolder } from "./files.ts";
import { checkSource } from "./load-bundle.ts";
import { loadedFunction } from "./loaded.ts";
import { decodeModel, encodeModel, modelFile } from "./model-file.ts";
import { identifier, Names } from "./names.ts";
import { savedFunction } from "./saved.ts";

export interface SaveModelOptions<M> {
  /** The arguments of functions that do not know them, by the function's path: `{ predict: [spec([32, 784])] }`. */
  readonly inputs?: Inputs<M> | Readonly<Record<string, readonly unknown[]>>;
  readonly license?: string;
  readonly name?: string;
  /** false: no calls are recorded for the bundle's `selfTest()`. */
  readonly selfTest?: boolean;
}

/** Variables of a loaded model, beside what was saved. */
export interface LoadedVariables {
  /** All of them, those that only functions know included. */
  readonly variables: readonly Variable[];
  readonly trainableVariables: readonly Variable[];
}

/**
 * Saves an object, of a class or plain, with compiled functions and variables among its properties, also inside arrays and
 * further objects. The folder is a bundle, which runs without Sinter, with the graphs that `loadModel` makes functions of.
 * Variables are named by their paths: `layers.0.w`. Each function is saved for the only signature that it was traced for,
 * unless `inputs` say another; all its sizes must be known. Throws ExportError, which lists all that cannot be saved, and writes nothing then.
 */
export async function saveModel<M extends object>(
  model: M,
  dir: string,
  options: SaveModelOptions<M> = {},
): Promise<void> {
  checkOptions("saveModel", options, ["inputs", "license", "name", "selfTest"]);
  if (typeof dir !== "string" || dir === "")
    throw new SinterError(`saveModel: dir must be the path of a folder, not ${describeValue(dir)}`);
  const parts = modelParts("saveModel", model, options);
  const spec = await assembleAnywhere("saveModel", parts.functions, parts.variables, parts.own);
  await writeBundleFolder("saveModel", modelFiles("saveModel", spec, parts), dir);
}

/** The files that `saveModel` writes, by their paths in the folder: for a browser, which has no folders. */
export function modelToFiles<M extends object>(model: M, options: SaveModelOptions<M> = {}): Map<string, Uint8Array> {
  checkOptions("modelToFiles", options, ["inputs", "license", "name", "selfTest"]);
  const parts = modelParts("modelToFiles", model, options);
  return modelFiles("modelToFiles", assemble("modelToFiles", parts.functions, parts.variables, parts.own), parts);
}

function modelParts<M extends object>(caller: string, model: M, options: SaveModelOptions<M>) {
  const { tree, functions, variables } = attributesOf(caller, model);
  if (functions.size === 0)
    throw new SinterError(
      `${caller}: there is no compiled function in the model, only what loadWeights can load: saveWeights saves it`,
    );
  const names = new Names();
  const byPath = new Map([...functions.keys()].map((path) => [path, names.take(identifier(path))]));
  const own: AssembleOptions = {
    name: options.name ?? "model",
    inputs: inputsByName(caller, options.inputs, byPath),
    weights: "file",
    target: "wasm",
    license: options.license,
    graphs: true,
    unused: true,
    selfTest: options.selfTest ?? true,
  };
  const named = new Map([...functions].map(([path, value]) => [byPath.get(path)!, value]));
  return { tree, byPath, functions: named, variables, own };
}

function modelFiles(
  caller: string,
  spec: BundleSpec,
  { tree, byPath }: Pick<ReturnType<typeof modelParts>, "tree" | "byPath">,
): Map<string, Uint8Array> {
  const symbolic = spec.functions.filter(({ params }) => params.some(({ tree }) => isSymbolic(tree)));
  if (symbolic.length > 0)
    throw new ExportError(
      caller,
      symbolic.map(
        ({ name }) =>
          `${name}: has symbolic sizes, which a saved model cannot have: say the sizes with inputs, or take exportBundle`,
      ),
    );
  const files = writeBundle(spec);
  const fast = spec.functions.filter(({ fastMath }) => fastMath === true).map(({ name }) => name);
  files.set(modelFile, encodeModel({ tree, functions: Object.fromEntries(byPath), fastMath: fast }));
  return files;
}

function isSymbolic(tree: SpecTree): boolean {
  if (tree.kind === "tensor") return !isStatic(tree.shape);
  return tree.kind !== "static" && tree.items.some(isSymbolic);
}

function inputsByName(
  caller: string,
  inputs: unknown,
  byPath: ReadonlyMap<string, string>,
): ReadonlyMap<string, unknown> {
  if (inputs === undefined) return new Map();
  if (!isPlainObject(inputs))
    throw new SinterError(
      `${caller}: inputs must be an object with the arguments of each function, { predict: [spec([32, 784])] }, not ${describeValue(inputs)}`,
    );
  return new Map(Object.entries(inputs).map(([path, args]) => [byPath.get(path) ?? path, args]));
}

/**
 * A model as `saveModel` saved it, from a folder or a URL, or from its files: a plain object of the same structure, with
 * compiled functions over variables of its own, as they were saved. The functions can be called, differentiated, made part
 * of others and exported again; each has the signature that it was saved with. `variables` and `trainableVariables` list
 * what there is to train, unless the model has properties of these names.
 */
export async function loadModel<M extends object = Record<string, unknown>>(
  from: BundleSource,
): Promise<M & LoadedVariables> {
  checkSource("loadModel", from);
  const bundle = await openBundle(from);
  const { manifest } = bundle;
  if (manifest.graphs === undefined)
    throw new SinterError(
      "loadModel: there are no graphs in this bundle: it was written by exportBundle. loadBundle runs it; saveModel writes one that loadModel can load.",
    );
  const saved = decodeModel(await bundle.read(modelFile));
  const contents = await bundle.tensors();
  const variables = manifest.variables.map(({ name, dtype, shape, trainable }) => {
    const lazy = lazyFromData(theMachine().heap, dtype, shape, contents(name));
    return new Variable(lazy, name, true, trainable);
  });
  // Handles, so that the collector frees them with the functions.
  const constants = manifest.constants.map(
    ({ name, dtype, shape }) => new Tensor(lazyFromData(theMachine().heap, dtype, shape, contents(name))),
  );
  const functions = new Map<string, unknown>();
  for (const entry of manifest.functions) {
    const fastMath = saved.fastMath.includes(entry.name);
    const own = savedFunction("loadModel", entry, await bundle.graph(entry.name), fastMath);
    functions.set(entry.name, loadedFunction(own, variables, constants));
  }
  const byName = new Map(variables.map((variable) => [variable.name, variable]));
  const model = build(saved.tree, (kind, path) => {
    const found = kind === "variable" ? byName.get(path) : functions.get(saved.functions[path] ?? "");
    if (found === undefined)
      throw new SinterError(`loadModel: ${modelFile} has the ${kind} ${path}, which the bundle does not have`);
    return found;
  }) as M & LoadedVariables;
  const lists = { variables, trainableVariables: variables.filter((variable) => variable.trainable) };
  for (const [name, value] of Object.entries(lists))
    if (!(name in model)) Object.defineProperty(model, name, { value });
  return model;
}
