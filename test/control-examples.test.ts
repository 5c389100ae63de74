// The examples of control flow at small sizes: each compares its values with plain JavaScript and throws where they differ.
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

test("the compiled functions of examples/control give what plain JavaScript gives", () => {
  const printed = execFileSync(
    process.execPath,
    ["--import", "sinter/register", join("examples", "control", "all.ts"), "--small"],
    { cwd: root, encoding: "utf8", timeout: 60_000 },
  );
  expect(printed.match(/: right \(small\)/g)).toHaveLength(6);
});
