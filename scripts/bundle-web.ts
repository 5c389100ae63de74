/** A page's script bundled for browsers by each bundler that people use, with nothing but what they would configure. */
import { dirname, join } from "node:path";

export interface WebBundle {
  /** A JavaScript file, which imports packages from node_modules of its folder or above. */
  readonly entry: string;
  /** Gets `main.js` and what it loads. */
  readonly outDir: string;
  /** Where the package `sinter` begins, for the bundler that does not look for packages. */
  readonly library: string;
}

export interface WebBundler {
  /** How a page loads main.js. */
  readonly script: string;
  /** Rejects on warnings too. */
  build(bundle: WebBundle): Promise<void>;
}

const asModule = '<script type="module" src="main.js"></script>';

interface Log {
  readonly message: string;
}

/** What rollup and rolldown are given for logs. */
const onLog = (_: string, log: Log): never => {
  throw new Error(log.message);
};

export const webBundlers: Readonly<Record<string, WebBundler>> = {
  vite: {
    script: asModule,
    async build({ entry, outDir }) {
      const { build } = await import("vite");
      await build({
        root: dirname(entry),
        configFile: false,
        logLevel: "error",
        build: {
          outDir,
          target: "es2022",
          chunkSizeWarningLimit: 100_000,
          rolldownOptions: {
            input: entry,
            output: { entryFileNames: "main.js" },
            checks: { pluginTimings: false },
            onLog,
          },
        },
      });
    },
  },
  rollup: {
    script: asModule,
    async build({ entry, outDir, library }) {
      const { rollup } = await import("rollup");
      const resolveId = (id: string): string | null => (id === "sinter" ? library : null);
      const bundle = await rollup({ input: entry, onLog, plugins: [{ name: "packages", resolveId }] });
      await bundle.write({ dir: outDir, entryFileNames: "main.js" });
      await bundle.close();
    },
  },
  rolldown: {
    script: asModule,
    async build({ entry, outDir }) {
      const { rolldown } = await import("rolldown");
      const bundle = await rolldown({ input: entry, onLog, platform: "browser" });
      await bundle.write({ dir: outDir, entryFileNames: "main.js", minify: true });
      await bundle.close();
    },
  },
  esbuild: {
    script: asModule,
    async build({ entry, outDir }) {
      const { build } = await import("esbuild");
      const { warnings } = await build({
        entryPoints: { main: entry },
        outdir: outDir,
        bundle: true,
        splitting: true,
        format: "esm",
        minify: true,
        target: "es2022",
        logLevel: "silent",
      });
      if (warnings[0] !== undefined) throw new Error(warnings[0].text);
    },
  },
  webpack: {
    script: '<script defer src="main.js"></script>',
    async build({ entry, outDir }) {
      const { default: webpack } = await import("webpack");
      const compiler = webpack({
        mode: "production",
        target: "web",
        entry,
        output: { path: outDir, filename: "main.js" },
        performance: false,
      });
      const stats = await new Promise<import("webpack").Stats | undefined>((resolve, reject) =>
        compiler.run((error, found) => (error === null ? resolve(found) : reject(error))),
      );
      await new Promise((resolve) => compiler.close(resolve));
      if (stats === undefined || stats.hasErrors() || stats.hasWarnings())
        throw new Error(stats?.toString("errors-warnings") ?? "webpack gives no result");
    },
  },
};

/** The bundle of one bundler below `folder`. */
export function bundleIn(folder: string, name: string): WebBundle {
  return {
    entry: join(folder, "web.js"),
    outDir: join(folder, "web", name),
    library: join(folder, "node_modules/sinter/lib/sinter/index.js"),
  };
}
