/** `loadBundle`: the loader of bundles for users of the library, whose errors and ways with options are the library's. */
import {
  BundleAssertionError,
  type BundleSource,
  type LoadOptions,
  loadBundle as load,
  type Program,
} from "@sinter/runtime";
import { AssertionError, checkOptions, describeValue, SinterError } from "../errors.ts";

type Run = Program["run"];

/**
 * Loads a bundle to run it, from its folder (a path or a URL), or from its files by name. The code is that of the bundle's
 * own `index.js`, which is not executed. A failed check of a function is an AssertionError. Throws BundleError for a bundle
 * that is incomplete, altered, or for another machine.
 */
export async function loadBundle(
  from: BundleSource,
  options: Omit<LoadOptions, "base" | "files"> = {},
): Promise<Program> {
  checkOptions("loadBundle", options, ["build", "log"]);
  checkSource("loadBundle", from);
  const program = await load(from, options);
  const functions = Object.fromEntries(
    Object.entries(program.functions).map(([name, f]) => [name, translated(name, f)]),
  );
  return { ...program, functions, run: Object.values(functions)[0]! };
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
  return (...args) => {
    try {
      return f(...args);
    } catch (error) {
      throw error instanceof BundleAssertionError ? new AssertionError(error.message, { place: name }) : error;
    }
  };
}
