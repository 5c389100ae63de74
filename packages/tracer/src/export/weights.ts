/**
 * `saveWeights`, `loadWeights`: the values of variables in a safetensors file, named by where the variables stand:
 * `layers.0.w` for `model.layers[0].w`, and `0`, `1` in an array of variables.
 */
import {
  dataOf,
  type NamedTensor,
  readSafetensors,
  type StoredTensor,
  theMachine,
  writeSafetensors,
} from "@sinter/runtime";
import { checkOptions, describe, describeValue, SinterError } from "../errors.ts";
import { inHeap } from "../gpu/home.ts";
import { lazyFromData } from "../lazy.ts";
import { Tensor } from "../tensor.ts";
import type { Variable } from "../variable.ts";
import { attributesOf } from "./attributes.ts";
import { fileSystem, withPlace, writeAtomically } from "./files.ts";
import { contents } from "./record.ts";

/**
 * Values of all variables of a model, or of an array or object of variables, as the bytes of a safetensors file. Those on a
 * GPU must have been read, `await w.data()`, since they were assigned.
 */
export function weightsToBytes(model: object): Uint8Array {
  return encode("weightsToBytes", model);
}

/**
 * Writes the values of all variables of a model, or of an array or object of variables, to a file, at once or not at all.
 * Makes the folders that are missing.
 */
export async function saveWeights(model: object, file: string): Promise<void> {
  if (typeof file !== "string" || file === "")
    throw new SinterError(`saveWeights: file must be the path of a file, not ${describeValue(file)}`);
  const values = [...variablesOf("saveWeights", model).values()].map((variable) => variable.current());
  const leave = await inHeap(values);
  let bytes: Uint8Array;
  try {
    bytes = encode("saveWeights", model);
  } finally {
    leave();
  }
  const fs = await fileSystem("saveWeights", "weightsToBytes(model) gives the bytes");
  await withPlace("saveWeights", "written", file, () => writeAtomically(fs, file, bytes));
}

export interface LoadWeightsOptions {
  /** false: what is missing in the file keeps its value, and what is too much is left out. */
  readonly strict?: boolean;
}

/** What a file that was not loaded strictly left undone. */
export interface LoadedWeights {
  /** Variables that the file does not have. */
  readonly missing: readonly string[];
  /** Tensors that no variable is for. */
  readonly extra: readonly string[];
}

/**
 * Sets the variables of a model, or of an array or object of variables, from a file, or from its bytes. Changes nothing,
 * and lists every name that is missing, too much, or has another shape or dtype, where the file does not fit. Programs
 * that use the variables stay as they are.
 */
export async function loadWeights(
  model: object,
  file: string | URL | Uint8Array,
  options: LoadWeightsOptions = {},
): Promise<LoadedWeights> {
  checkOptions("loadWeights", options, ["strict"]);
  const variables = variablesOf("loadWeights", model);
  const name = file instanceof Uint8Array ? "the bytes" : String(file);
  const { tensors } = readSafetensors(await bytesOf(file), name);
  const missing = [...variables.keys()].filter((path) => !tensors.has(path));
  const extra = [...tensors.keys()].filter((path) => !variables.has(path)).sort();
  const misshaped = [...variables].flatMap(([path, variable]) => {
    const stored = tensors.get(path);
    if (stored === undefined || fits(variable, stored)) return [];
    return [`${path} is ${describe(variable)} in the model, ${describe(stored)} in the file`];
  });
  const problems =
    options.strict === false
      ? misshaped
      : [
          ...missing.map((path) => `${path} is missing in the file`),
          ...extra.map((path) => `${path} is in the file, but not in the model`),
          ...misshaped,
        ];
  if (problems.length > 0) {
    const hint = misshaped.length === 0 ? "\n  { strict: false } takes what is there" : "";
    throw new SinterError(
      `loadWeights: ${name} cannot be loaded; nothing was changed\n  ${problems.join("\n  ")}${hint}`,
    );
  }
  for (const [path, variable] of variables) {
    const stored = tensors.get(path);
    if (stored === undefined) continue;
    using value = new Tensor(lazyFromData(theMachine().heap, stored.dtype, stored.shape, dataOf(stored)));
    variable.assign(value);
  }
  return { missing, extra };
}

function encode(caller: string, model: object): Uint8Array {
  const tensors = [...variablesOf(caller, model)].map(
    ([name, variable]): NamedTensor => ({
      name,
      dtype: variable.dtype,
      shape: variable.shape,
      data: contents(variable),
    }),
  );
  return writeSafetensors(tensors, { format: "sinter" });
}

function variablesOf(caller: string, model: object): ReadonlyMap<string, Variable> {
  const { variables } = attributesOf(caller, model);
  if (variables.size === 0)
    throw new SinterError(`${caller}: there are no variables in the model: they must be among its properties`);
  return variables;
}

function fits(variable: Variable, stored: StoredTensor): boolean {
  return (
    variable.dtype === stored.dtype &&
    variable.shape.length === stored.shape.length &&
    variable.shape.every((size, i) => size === stored.shape[i])
  );
}

async function bytesOf(file: string | URL | Uint8Array): Promise<Uint8Array> {
  if (file instanceof Uint8Array) return file;
  if (/^https?:/.test(String(file))) {
    const response = await withPlace("loadWeights", "read", String(file), () => fetch(file));
    if (!response.ok) throw new SinterError(`loadWeights: ${file}: ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  }
  const fs = await fileSystem("loadWeights", "fetch the file and give its bytes");
  return withPlace("loadWeights", "read", String(file), async () => new Uint8Array(await fs.readFile(file)));
}
