/** The source files that an inspection names, read from disk. */
import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Inspection } from "@sinter/runtime";
import type { Sources } from "./page/excerpt.ts";

/**
 * Their texts by name. Names that are not absolute, as those that a source transform writes, are looked for in `folders`.
 * A file that cannot be read, such as what a browser loaded, is left out.
 */
export function readSources(
  inspection: Pick<Inspection, "nodes">,
  folders: readonly string[] = [process.cwd()],
): Sources {
  const sources = new Map<string, string>();
  for (const file of new Set(inspection.nodes.flatMap((node) => node.locs.map((loc) => loc.file)))) {
    const path = pathOf(file);
    for (const folder of isAbsolute(path) ? [""] : folders) {
      try {
        sources.set(file, readFileSync(join(folder, path), "utf8"));
        break;
      } catch {
        // The page names the line instead.
      }
    }
  }
  return sources;
}

/** A URL that names another machine has no path here, and is left as it is. */
function pathOf(file: string): string {
  try {
    return file.startsWith("file:") ? fileURLToPath(file) : file;
  } catch {
    return file;
  }
}
