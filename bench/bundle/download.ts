// What a page downloads: one that calls compile(), and one that only loads a bundle, each as vite builds it for production.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, type Rolldown } from "vite";
import type { Files } from "./exported.ts";

export interface Page {
  /** By file name: the scripts that the page loads at once. */
  readonly scripts: ReadonlyMap<string, string>;
  /** Paths of the modules in them, and in those that it may load later. */
  readonly modules: readonly string[];
}

/** A page that traces and compiles a function of its own. */
export function compilePage(folder: string): Promise<Page> {
  const main =
    'import { compile, tensor } from "sinter";\n' +
    "const f = compile((x) => x.matmul(x).relu().sum());\n" +
    "document.title = String(f(tensor([[1, 2], [3, 4]])).item());\n";
  return page(folder, new Map([["main.js", main]]));
}

/** A page that asks a bundle whose other files lie beside it. */
export function bundlePage(folder: string, bundle: Files): Promise<Page> {
  const main =
    'import { load } from "./bundle/index.js";\n' +
    "const program = await load();\n" +
    "document.title = String(program.run(new Float32Array(784)).data[0]);\n";
  const files = [...bundle].map(([name, bytes]) => [`bundle/${name}`, bytes] as const);
  return page(folder, new Map<string, string | Uint8Array>([["main.js", main], ...files]));
}

async function page(folder: string, files: ReadonlyMap<string, string | Uint8Array>): Promise<Page> {
  mkdirSync(join(folder, "bundle"), { recursive: true });
  const html = '<!doctype html><title></title><script type="module" src="./main.js"></script>';
  for (const [name, content] of [...files, ["index.html", html] as const]) writeFileSync(join(folder, name), content);
  const result = (await build({
    root: folder,
    configFile: false,
    logLevel: "error",
    resolve: { alias: { sinter: join(import.meta.dirname, "../../packages/sinter/src/index.ts") } },
    build: { write: false, target: "esnext", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  })) as Rolldown.RolldownOutput;
  const chunks = result.output.filter((each) => each.type === "chunk");
  return {
    scripts: new Map(chunks.filter((each) => !each.isDynamicEntry).map(({ fileName, code }) => [fileName, code])),
    modules: chunks.flatMap(({ modules }) => Object.keys(modules)),
  };
}
