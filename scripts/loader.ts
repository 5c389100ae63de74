// Compiles the loader of bundles, packages/runtime/src/bundle/loader, into the text that bundles carry. With --check it
// changes nothing and fails where the text differs from what it would write.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, type Plugin } from "esbuild";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "packages/runtime/src/bundle");
const target = join(folder, "loader-source.ts");

/** The files of a bundle that modules become which are imported only when they are needed. */
const filesOfModules: Plugin = {
  name: "files-of-modules",
  setup(made) {
    for (const [module, path] of [
      [/self-test\.ts$/, "./selftest.js"],
      [/device\.ts$/, "./webgpu.js"],
    ] as const)
      made.onResolve({ filter: module }, ({ kind }) =>
        kind === "dynamic-import" ? { path, external: true } : undefined,
      );
  },
};

/** A bundle is given its device: what looks for one, and knows packages of Node, stays outside. */
const withoutAdapters: Plugin = {
  name: "without-adapters",
  setup(made) {
    made.onLoad({ filter: /[\\/]webgpu[\\/]adapter\.ts$/ }, () => ({
      contents: "export const requestDevice = undefined;",
    }));
  },
};

/** The module as committed. `SINTER_FILES`, `SINTER_PRINT` and `SINTER_SIZES` are what the writer of a bundle puts in front of it. */
export async function loaderModule(): Promise<string> {
  const [loader, targets] = await Promise.all(
    ["./index.ts", "./targets.ts"].map((module) =>
      compiled({
        stdin: {
          contents: `import { load as start } from "${module}";
            export { AssertionError, BundleError } from "${module}";
            export const load = (options) => start(SINTER_FILES, SINTER_PRINT.text, SINTER_SIZES.sized, options);`,
          resolveDir: join(folder, "loader"),
        },
        plugins: [filesOfModules],
      }),
    ),
  );
  const webgpu = await compiled({
    stdin: { contents: 'export { open } from "./device.ts";', resolveDir: join(folder, "loader") },
    plugins: [withoutAdapters],
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
    `/** Of bundles that carry a program for WebGPU, and the file that they load where it runs. */\nexport const targetsSource =\n  ${JSON.stringify(targets)};`,
    `export const webgpuSource =\n  ${JSON.stringify(webgpu)};`,
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
