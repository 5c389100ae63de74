// Programs compile, run and show their WebAssembly in a process that cannot load anything from elsewhere: the compiler
// encodes modules itself, and Binaryen, which takes longer to import than everything else together, is for tests.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

/** Refuses what is neither Node's own, a file by its path, nor one of the project's packages. */
const hooks = `
  import { registerHooks } from "node:module";
  registerHooks({
    resolve(specifier, context, next) {
      if (!/^(node:|file:|\\.|\\/|sinter$|@sinter\\/)/.test(specifier)) throw new Error("imports " + specifier);
      return next(specifier, context);
    },
  });
`;

const program = `
  import * as s from "sinter";
  const f = s.compile((x, w) => x.matmul(w).relu().sum());
  console.log(f(s.ones([4, 8]), s.ones([8, 2])).item());
  console.log(f.lower(s.spec([4, 8]), s.spec([8, 2])).text("wat").slice(0, 7));
  await s.ready();
  await import("binaryen").catch((error) => console.log(error.message));
`;

test("Sinter compiles, runs and prints WebAssembly without Binaryen", () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(hooks)}`, "--input-type=module", "--eval", program],
    { cwd: import.meta.dirname, encoding: "utf8" },
  );
  expect(stderr).toBe("");
  expect(stdout).toBe("64\n(module\nimports binaryen\n");
});
