// A build script for each bundler, as a user writes it: one ES module with a source map in OUT/, the plugin first.
// ENTRY stands for the name of the file under src/, OUT for the folder.

const rollupLike = (from: string): string => `
import { ${from} } from "${from}";
import sinter from "sinter/${from}";
PLUGINS
const bundle = await ${from}({
  input: "src/ENTRY.ts",
  CHECKS
  external: (id) => /^(sinter|node:)/.test(id),
  plugins: [sinter(), ...others],
});
await bundle.write({ file: "OUT/ENTRY.mjs", format: "esm", sourcemap: true });
await bundle.close();
`;

const quietRolldown = "checks: { pluginTimings: false },";

/** Rollup leaves types and the resolving of .js to .ts to others; esbuild serves as the tool that comes after. */
const typesForRollup = `
import { transform } from "esbuild";
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
const others = [{
  name: "types",
  resolveId(id, importer) {
    if (!id.startsWith(".") || importer === undefined) return null;
    const file = resolve(dirname(importer), id);
    return existsSync(file) ? file : file.replace(/\\.js$/, ".ts");
  },
  async transform(code, id) {
    if (!id.endsWith(".ts")) return null;
    const result = await transform(code, { loader: "ts", sourcemap: true, sourcefile: id, target: "es2022" });
    return { code: result.code, map: result.map };
  },
}];
`;

export const bundlers = {
  vite: `
import { build } from "vite";
import sinter from "sinter/vite";
await build({
  configFile: false,
  logLevel: "warn",
  plugins: [sinter()],
  build: {
    ssr: "src/ENTRY.ts",
    outDir: "OUT",
    emptyOutDir: false,
    sourcemap: true,
    minify: false,
    // On a busy machine rolldown warns of the time that the first file takes.
    rolldownOptions: { output: { entryFileNames: "ENTRY.mjs" }, checks: { pluginTimings: false } },
  },
});
`,
  rollup: rollupLike("rollup").replace("PLUGINS", typesForRollup).replace("CHECKS", ""),
  rolldown: rollupLike("rolldown").replace("PLUGINS", "const others = [];").replace("CHECKS", quietRolldown),
  esbuild: `
import { build } from "esbuild";
import sinter from "sinter/esbuild";
await build({
  entryPoints: ["src/ENTRY.ts"],
  outfile: "OUT/ENTRY.mjs",
  bundle: true,
  format: "esm",
  packages: "external",
  sourcemap: true,
  plugins: [sinter()],
});
`,
  webpack: `
import webpack from "webpack";
import { writeFileSync } from "node:fs";
import sinter from "sinter/webpack";
// A loader that strips types and chains the map that it is given, as every TypeScript loader does.
writeFileSync("types.cjs", \`
const { transform } = require("esbuild");
const remapping = require("@jridgewell/remapping");
module.exports = function (code, map) {
  const done = this.async();
  transform(code, { loader: "ts", sourcemap: true, sourcefile: this.resourcePath, target: "es2022" }).then(
    (result) => done(null, result.code, map ? JSON.parse(remapping([result.map, map], () => null).toString()) : result.map),
    done,
  );
};
\`);
const compiler = webpack({
  mode: "development",
  devtool: "source-map",
  target: "node20",
  entry: "./src/ENTRY.ts",
  experiments: { outputModule: true },
  externals: { sinter: "module sinter", "sinter/ag": "module sinter/ag" },
  output: {
    path: process.cwd() + "/OUT",
    filename: "ENTRY.mjs",
    module: true,
    library: { type: "module" },
    devtoolModuleFilenameTemplate: "[absolute-resource-path]",
  },
  resolve: { extensionAlias: { ".js": [".ts", ".js"] } },
  module: { rules: [{ test: /\\.ts$/, use: "./types.cjs" }] },
  optimization: { emitOnErrors: false },
  plugins: [sinter()],
});
compiler.run((error, stats) => {
  if (error ?? stats.hasErrors()) {
    console.error(error ?? stats.toString("errors-only"));
    process.exitCode = 1;
  } else if (stats.hasWarnings()) console.error(stats.toString("errors-warnings"));
  compiler.close(() => {});
});
`,
} as const;

export type BundlerName = keyof typeof bundlers;
