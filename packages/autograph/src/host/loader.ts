// Node's module hooks: a file of the project is transformed and its types stripped as it is loaded. ES modules only.
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Host, type HostOptions, isError, type Pending, type Report } from "./host.ts";

/** What a load hook answers with. */
export interface Loaded {
  readonly format: "module";
  readonly source: string;
  readonly shortCircuit: true;
}

export class Loader {
  readonly #host: Host;

  /** Options come from the environment, since `--import` takes none: SINTER_AUTOGRAPH='{"mode": "syntax"}'. */
  constructor() {
    this.#host = new Host(environmentOptions());
  }

  /** What to load for a URL, or undefined where it is left to the next hook. */
  load(url: string): Pending<Loaded> | undefined {
    const file = fileOfUrl(url);
    if (file === undefined || !this.#host.owns(file) || extname(file).endsWith("x")) return undefined;
    let code: string;
    try {
      code = readFileSync(file, "utf8");
    } catch {
      return undefined;
    }
    if (!this.#isModule(file, code)) return undefined;
    const pending = this.#host.program(code, file);
    if ("done" in pending) return { done: loaded(pending.done) };
    return { run: (engine) => loaded(pending.run(engine)) };
  }

  /** The .ts file that a relative import of a .js file means, as TypeScript resolves it; undefined where it exists. */
  alternative(specifier: string, parent: string | undefined): string | undefined {
    if (parent === undefined || !/^\.\.?\//.test(specifier)) return undefined;
    const importer = fileOfUrl(parent);
    if (importer === undefined || !this.#host.owns(importer) || !/\.m?ts$/.test(importer)) return undefined;
    const typed = specifier.replace(/\.(m?)js$/, ".$1ts");
    if (typed === specifier || existsSync(fileURLToPath(new URL(specifier, parent)))) return undefined;
    return existsSync(fileURLToPath(new URL(typed, parent))) ? typed : undefined;
  }

  /** Whether Node takes the file as an ES module. A CommonJS file that imports Sinter is an error. */
  #isModule(file: string, code: string): boolean {
    if (/\.m[jt]s$/.test(file)) return true;
    const manifest = this.#host.project.manifestOf(dirname(file));
    if (manifest?.type === "module") return true;
    if (!this.#host.accepts(file) || !/\bfrom\s*["']sinter["'/]|\(\s*["']sinter["'/]/.test(code)) return false;
    const where = manifest === null ? "there is no package.json above it" : `${manifest.folder}/package.json says`;
    const what = manifest === null ? "" : manifest.type === undefined ? ' no "type"' : ` "type": "${manifest.type}"`;
    throw new Error(
      `sinter/register: ${file} is not an ES module (${where}${what}), and only ES modules are transformed. ` +
        `Add "type": "module" to package.json, or rename the file to .m${extname(file).slice(1)}.`,
    );
  }
}

function loaded(program: { readonly code: string; readonly reports: readonly Report[] }): Loaded {
  for (const report of program.reports) if (!isError(report)) console.warn(report.text);
  const errors = program.reports.filter(isError);
  if (errors.length > 0) throw new SyntaxError(errors.map((error) => error.text).join("\n\n"));
  return { format: "module", source: program.code, shortCircuit: true };
}

function fileOfUrl(url: string): string | undefined {
  if (!url.startsWith("file:")) return undefined;
  const plain = new URL(url);
  plain.search = "";
  plain.hash = "";
  return fileURLToPath(plain);
}

function environmentOptions(): HostOptions {
  const text = process.env["SINTER_AUTOGRAPH"];
  if (text === undefined || text === "") return {};
  try {
    return JSON.parse(text) as HostOptions;
  } catch (cause) {
    throw new Error(`The environment variable SINTER_AUTOGRAPH is not JSON: ${text}`, { cause });
  }
}
