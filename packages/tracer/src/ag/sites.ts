/** Places in the source that transformed code names by number, and what it says of functions that are compiled. */
import type { Loc } from "@sinter/ir";
import { currentTrace } from "../frame.ts";
import type { TransformedSite } from "../transformed.ts";

/** Of the calls that transformed sources make: raised when they change. */
export const abi = 1;

/** Places of one file, each [line, column]. */
export function locs(file: string, positions: readonly (readonly [line: number, column: number])[]): Loc[] {
  return positions.map(([line, column]) => ({ file, line, column }));
}

/** Gives a place to the operations made since the last time; passes `value` on. */
export function at<T>(loc: Loc, value: T): T {
  const frame = currentTrace();
  if (frame !== undefined) {
    // From here on no stack need be captured to find places, which costs more than the operations themselves.
    frame.tagged = true;
    frame.tag(loc);
  }
  return value;
}

/** The third argument of `compile` in transformed sources: where it is called, and what its function captures. */
export function compiled(loc: Loc, captures: () => unknown[], names: readonly string[]): TransformedSite {
  return { loc, captures: () => initialised(captures, names), names };
}

/** Captured values; undefined for all of them while one is not initialised yet. */
function initialised(captures: () => unknown[], names: readonly string[]): readonly unknown[] {
  try {
    return captures();
  } catch (error) {
    if (error instanceof ReferenceError) return names.map(() => undefined);
    throw error;
  }
}
