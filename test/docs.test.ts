// The generated parts of docs/*.md are what `npm run docs` writes.
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = join(dirname(dirname(fileURLToPath(import.meta.url))), "scripts", "docs.ts");

test("the documents are up to date", () => {
  expect(execFileSync(process.execPath, [script, "--check"], { encoding: "utf8", timeout: 60_000 })).toContain(
    "up to date",
  );
});
