/** `loadBundle`: the loader of bundles for users of the library, whose errors and ways with options are the library's. */
import {
  type AsyncProgram,
  BundleAssertionError,
  type BundleSource,
  loadBundle as load,
  type OpenOptions,
  type Program,
} from "@sinter/runtime";
import { AssertionError, checkOptions, describeValue, SinterError } from "../errors.ts";

type Run = Program["run"];

/**
 * Loads a bundle to run it, from its folder (a path or a URL), or from its files by name. The code is that of the bundle's
 * own `index.js`, which is not executed. One that was exported for WebGPU answers with promises, wherever it runs:
 * `loadBundle<AsyncProgram>(dir)`. It runs on the device that is given, or on one that `gpu` (by default
 * `navigator.gpu`) makes; without one, in WebAssembly if it was exported for both. A failed check of a function is an
 * AssertionError. Throws BundleError for a bundle that is incomplete, altered, or for another machine.
 */
export function loadBundle(
  from: BundleSource,
  options: OpenOptions & ({ readonly target: "webgpu" } | { readonly device: GPUDevice } | { readonly gpu: GPU }),
): Promise<AsyncProgram>;
export function loadBundle<P extends Program | AsyncProgram = Program>(
  from: BundleSource,
  options?: OpenOptions,
): Promise<P>;
export async function loadBundle(from: BundleSource, options: OpenOptions = {}): Promise<Program | AsyncProgram> {
  checkOptions("loadBundle", options, ["build", "log", "target", "device", "gpu"]);
  checkSource("loadBundle", from);
  const program = await load<Program | AsyncProgram>(from, options);
  const functions = Object.fromEntries(
    Object.entries(program.functions).map(([name, f]) => [name, translated(name, f)]),
  );
  return { ...program, functions, run: Object.values(functions)[0]! } as Program | AsyncProgram;
}

export function checkSource(caller: string, from: unknown): void {
  if (typeof from === "string" ? from !== "" : typeof from === "object" && from !== null && !ArrayBuffer.isView(from))
    return;
  throw new SinterError(
    `${caller}: from must be the folder of a bundle, as a path or URL, or its files by name, not ${describeValue(from)}`,
  );
}

/** A failed check is the error that the compiled function would throw: bundles bring a class of their own. */
function translated(name: string, f: Run): Run {
  const failed = (error: unknown): never => {
    throw error instanceof BundleAssertionError ? new AssertionError(error.message, { place: name }) : error;
  };
  return (...args) => {
    try {
      const answer = f(...args);
      return answer instanceof Promise ? answer.catch(failed) : answer;
    } catch (error) {
      return failed(error);
    }
  };
}
