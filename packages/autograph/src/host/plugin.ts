// The bundler plugin, one factory for every bundler that unplugin knows: transforms the project's files before any
// other tool strips their types, and turns diagnostics into the bundler's errors and warnings.
import type { UnpluginContext, UnpluginInstance, UnpluginOptions } from "unplugin";
import { Host, type HostOptions, isError, type Report } from "./host.ts";
import { loadEngine, requirePeer } from "./load.ts";
import { fileOfId } from "./project.ts";

export type PluginOptions = HostOptions;

/** The plugin for each bundler: `plugin("vite")(options)`. Throws where unplugin is not installed. */
export function plugin<K extends "vite" | "rollup" | "rolldown" | "esbuild" | "webpack">(
  bundler: K,
): UnpluginInstance<PluginOptions | undefined, false>[K] {
  const { createUnplugin } = requirePeer("unplugin", "unplugin", import.meta.url) as typeof import("unplugin");
  return createUnplugin<PluginOptions | undefined, false>((options = {}) => hooks(options))[bundler];
}

function hooks(options: PluginOptions): UnpluginOptions {
  let host = hostFor(options, process.env["NODE_ENV"] === "production");
  return {
    name: "sinter-autograph",
    enforce: "pre",
    transform: {
      filter: { id: { include: /\.[cm]?[jt]sx?(\?|$)/, exclude: /[\\/]node_modules[\\/]/ } },
      async handler(code, id) {
        const file = fileOfId(id);
        if (file === undefined || !host.accepts(file)) return null;
        const pending = host.transform(code, file);
        const outcome = "done" in pending ? pending.done : pending.run(await loadEngine());
        for (const path of outcome.dependencies) this.addWatchFile(path);
        report(this, outcome.reports, file);
        return outcome.changed ? { code: outcome.code, map: outcome.map as SourceMapInput } : null;
      },
    },
    watchChange(id) {
      const file = fileOfId(id);
      if (file !== undefined) host.changed(file);
    },
    vite: {
      // Transformed files import sinter/ag: known from the start, the dev server need not reload once it sees it.
      config: () => ({ optimizeDeps: { include: ["sinter", "sinter/ag"] } }),
      configResolved({ root, isProduction }) {
        host = hostFor({ root, ...options }, isProduction);
      },
    },
    webpack(compiler) {
      const { mode } = compiler.options;
      host = hostFor({ root: compiler.context, ...options }, mode === undefined || mode === "production");
    },
  };
}

/** Checks and tags of operations are for development; a production build does without unless they are asked for. */
function hostFor(options: PluginOptions, production: boolean): Host {
  return new Host(production ? { checks: false, tags: false, ...options } : options);
}

type SourceMapInput = Extract<Awaited<ReturnType<TransformHandler>>, { code: string }>["map"];
type TransformHandler = Extract<UnpluginOptions["transform"], (...args: never[]) => unknown>;

/** Each warning on its own; all errors of the file as one, since most bundlers stop at the first. */
function report(context: UnpluginContext, reports: readonly Report[], file: string): void {
  const say = (report: Report, message: string) => ({
    message,
    id: file,
    loc: { file, line: report.line, column: report.column - 1 },
  });
  for (const warning of reports.filter((found) => !isError(found))) context.warn(say(warning, warning.text));
  const errors = reports.filter(isError);
  if (errors.length > 0) context.error(say(errors[0]!, errors.map((error) => error.text).join("\n\n")));
}
