/** What goes wrong with a bundle itself. */

/** Thrown for a bundle that is incomplete, altered, of another version, or for another machine. Names the file. */
export class BundleError extends Error {
  override readonly name = "BundleError";
}

/** Thrown where a check of the exported function failed. Nothing has changed. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
