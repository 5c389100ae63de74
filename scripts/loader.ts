// Compiles the loader of bundles, packages/runtime/src/bundle/loader, into the text that bundles carry. With --check it
// changes nothing and fails where the text differs from what it would write.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, type Plugin } from "esbuild";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "packages/runtime/src/bundle");
const target = join(folder, "loader-source.ts");

/** The file of a bundle that `self-test.ts` becomes. */
const selfTestFile: Plugin = {
  name: "self-test",
  setup(made) {
    made.onResolve({ filter: /self-test\.ts$/ }, ({ kind }) =>
      kind === "dynamic-import" ? { path: "./selftest.js", external: true } : undefined,
    );
  },
};

/** The module as committed. `SINTER_FILES`, `SINTER_PRINT` and `SINTER_SIZES` are what the writer of a bundle puts in front of it. */
export async function loaderModule(): Promise<string> {
  const loader = await compiled({
    stdin: {
      contents: `import { load as start } from "./index.ts";
        export { AssertionError, BundleError } from "./index.ts";
        export const load = (options) => start(SINTER_FILES, SINTER_PRINT.text, SINTER_SIZES.sized, options);`,
      resolveDir: join(folder, "loader"),
    },
    plugins: [selfTestFile],
  });
  const print = await compiled({
    stdin: {
      contents: 'export { printedText as text } from "@sinter/ir/program";',
      resolveDir: join(folder, "loader"),
    },
    format: "iife",
    globalName: "SINTER_PRINT",
  });
  const sizes = await compiled({
    stdin: { contents: 'export { sized } from "./sizes.ts";', resolveDir: join(folder, "loader") },
    format: "iife",
    globalName: "SINTER_SIZES",
  });
  const selfTest = await compiled({ entryPoints: [join(folder, "loader/self-test.ts")] });
  return [
    "/** The loader that bundles carry, compiled by scripts/loader.ts (`npm run docs`). Not to be edited. */",
    `export const loaderSource =\n  ${JSON.stringify(loader)};`,
    `export const printSource =\n  ${JSON.stringify(print)};`,
    `export const sizesSource =\n  ${JSON.stringify(sizes)};`,
    `export const selfTestSource =\n  ${JSON.stringify(selfTest)};`,
    "",
  ].join("\n");
}

async function compiled(options: BuildOptions): Promise<string> {
  const result = await build({
    format: "esm",
    ...options,
    bundle: true,
    write: false,
    minify: true,
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
  });
  // The compiler drops what tells bundlers to leave an import alone.
  return result.outputFiles![0]!.text.replace("import([", "import(/* webpackIgnore: true */ /* @vite-ignore */[");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fresh = await loaderModule();
  const old = readFileSync(target, { encoding: "utf8", flag: "a+" });
  if (fresh === old) console.log("the loader is up to date");
  else if (process.argv.includes("--check")) {
    console.error("Out of date: packages/runtime/src/bundle/loader-source.ts. Run `npm run docs`.");
    process.exitCode = 1;
  } else {
    writeFileSync(target, fresh);
    console.log(`wrote the loader, ${fresh.length} bytes`);
  }
}
