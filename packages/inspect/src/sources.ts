/** The source files that an inspection names, read from disk. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Inspection } from "@sinter/runtime";
import type { Sources } from "./page/excerpt.ts";

/** Their texts by name. One that cannot be read, such as what a browser loaded, is left out. */
export function readSources(inspection: Pick<Inspection, "nodes">): Sources {
  const sources = new Map<string, string>();
  for (const file of new Set(inspection.nodes.flatMap((node) => node.locs.map((loc) => loc.file)))) {
    try {
      sources.set(file, readFileSync(file.startsWith("file:") ? fileURLToPath(file) : file, "utf8"));
    } catch {
      // The page names the line instead.
    }
  }
  return sources;
}
