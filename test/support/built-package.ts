// The package as it is published, built once for all tests that need it, and small projects beside it that import it
// as a user's project does. Node 20 cannot run the sources, and only a built package shows what a user gets.
import { spawnSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** For tests that start several processes with a type checker each: longer than any takes on a busy machine. */
export const patience = 240_000;

let built: string | undefined;

/** A folder whose node_modules holds the built package. Built anew when a source has changed since the last run. */
export function builtPackage(): string {
  return (built ??= build());
}

function build(): string {
  const parent = join(root, ".tmp", "built");
  const folder = join(parent, sourceHash());
  if (existsSync(folder)) return folder;
  mkdirSync(parent, { recursive: true });
  const draft = join(parent, `draft-${randomUUID()}`);
  const args = [join(root, "scripts/build.ts"), "--emit-anyway", "--out", join(draft, "node_modules/sinter")];
  const result = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`The build failed:\n${result.stdout}${result.stderr}`);
  try {
    renameSync(draft, folder);
  } catch {
    // Another test file was quicker.
    rmSync(draft, { recursive: true, force: true });
  }
  removeOld(parent, folder);
  return folder;
}

export interface TestProject {
  readonly folder: string;
  path(name: string): string;
  write(name: string, text: string): void;
  read(name: string): string;
  remove(): void;
}

/** A project of the given files beside the built package, an ES module package with a tsconfig.json unless said. */
export function testProject(files: Readonly<Record<string, string>>): TestProject {
  const folder = join(builtPackage(), `app-${randomUUID().slice(0, 8)}`);
  const path = (name: string): string => join(folder, name);
  const write = (name: string, text: string): void => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), text);
  };
  // Its own node_modules, so that each project has a cache of its own.
  mkdirSync(path("node_modules"), { recursive: true });
  for (const [name, text] of Object.entries({ ...standardFiles, ...files })) write(name, text);
  return {
    folder,
    path,
    write,
    read: (name) => readFileSync(path(name), "utf8"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in a project, with the environment that a shell would give, not that of the test runner. */
export function runIn(project: TestProject, command: readonly string[], env: NodeJS.ProcessEnv = {}): Ran {
  const { VITEST, NODE_ENV, NODE_OPTIONS, FORCE_COLOR, ...inherited } = process.env;
  const [file, ...args] = command;
  const result = spawnSync(file!, args, {
    cwd: project.folder,
    encoding: "utf8",
    timeout: patience,
    env: { ...inherited, NO_COLOR: "1", ...env },
  });
  if (result.error !== undefined) throw result.error;
  return { status: result.status, out: result.stdout, err: result.stderr };
}

const standardFiles: Readonly<Record<string, string>> = {
  "package.json": JSON.stringify({ name: "app", private: true, type: "module" }),
  "tsconfig.json": JSON.stringify({
    compilerOptions: {
      strict: true,
      target: "es2022",
      lib: ["es2022", "esnext.disposable"],
      types: [],
      module: "nodenext",
      allowImportingTsExtensions: true,
      noEmit: true,
      skipLibCheck: true,
    },
    include: ["src"],
  }),
};

function sourceHash(): string {
  const hash = createHash("sha256");
  const add = (path: string): void => {
    hash.update(path).update(readFileSync(join(root, path)));
  };
  for (const path of ["scripts/build.ts", "scripts/vendor.ts", "package-lock.json"]) add(path);
  for (const name of readdirSync(join(root, "packages")).sort()) {
    const folder = `packages/${name}`;
    if (!existsSync(join(root, folder, "package.json"))) continue;
    add(`${folder}/package.json`);
    for (const file of readdirSync(join(root, folder, "src"), { recursive: true, encoding: "utf8" }).sort()) {
      if (file.endsWith(".ts")) add(`${folder}/src/${file}`);
    }
  }
  return hash.digest("hex").slice(0, 16);
}

/** Builds of older sources go once nothing can be using them any more. */
function removeOld(parent: string, current: string): void {
  for (const name of readdirSync(parent)) {
    const folder = join(parent, name);
    const old = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0) > 60 * 60 * 1000;
    if (folder !== current && old) rmSync(folder, { recursive: true, force: true });
  }
}
