// Parts of sources that docs/ADDING-AN-OP.md shows as examples.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packages = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "packages");

/** Named excerpts for the regions of docs/ADDING-AN-OP.md. */
export function sourceExcerpts(): ReadonlyMap<string, string> {
  return new Map([
    ["row-example", part("ir/src/scalar-ops/unary.ts", "  atan: {", "\n  },\n")],
    ["row-backend", part("codegen-wasm/src/emit/simd.ts", "  relu: expand", "\n")],
    ["op-example", part("ir/src/ops/movement.ts", "const reverseOp =", "\n});\n")],
  ]);
}

/** From `start` to the first `end` after it, both included. */
function part(file: string, start: string, end: string): string {
  const source = readFileSync(join(packages, file), "utf8");
  const from = source.indexOf(start);
  const to = source.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`packages/${file} has no ${start.trim()}`);
  return `\`\`\`ts\n// packages/${file}\n${source.slice(from, to + end.length).trimEnd()}\n\`\`\``;
}
