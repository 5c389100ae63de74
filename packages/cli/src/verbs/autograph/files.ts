// Which files a verb works on: those named on the command line, or those of a tsconfig.json.
import * as fs from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { type Engine, Host, type HostOptions, realPath } from "@sinter/autograph/host";
import { UsageError } from "../../context.ts";
import { display } from "../../text.ts";

export interface ProjectOptions {
  readonly project?: string;
  readonly mode?: string;
  /** Without checks and tags of operations, as a production build of the plugins. */
  readonly production?: boolean;
}

export interface Selection {
  readonly host: Host;
  readonly files: readonly string[];
  /** The folder that output is laid out from. */
  readonly rootDir: string;
}

/** The files of `named`, or else those of the project. Throws where there is nothing to work on. */
export function select(engine: Engine, named: readonly string[], options: ProjectOptions): Selection {
  const tsconfig = projectFile(options.project, named.length > 0);
  const host = new Host(hostOptions(tsconfig, options));
  if (named.length > 0) {
    const files = named.flatMap(existing);
    return { host, files, rootDir: commonFolder(files) };
  }
  const project = engine.projectFiles(tsconfig!);
  const files = project.files.map(realPath).filter((file) => host.accepts(file));
  if (files.length === 0) throw new UsageError(`${display(tsconfig!)} names no source files`);
  return { host, files, rootDir: realPath(project.rootDir ?? commonFolder(files)) };
}

function hostOptions(tsconfig: string | undefined, { mode, production }: ProjectOptions): HostOptions {
  if (mode !== undefined && mode !== "types" && mode !== "syntax") {
    throw new UsageError(`--mode is "types" or "syntax", not "${mode}"`);
  }
  return {
    ...(tsconfig === undefined ? {} : { tsconfig }),
    ...(mode === undefined ? {} : { mode }),
    ...(production ? { checks: false, tags: false } : {}),
  };
}

/** The tsconfig.json to read; undefined where files are named and none is asked for: each has its nearest. */
function projectFile(given: string | undefined, filesNamed: boolean): string | undefined {
  if (given !== undefined) {
    const path = resolve(given);
    const file = fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, "tsconfig.json") : path;
    if (!fs.existsSync(file)) throw new UsageError(`${given}: no such tsconfig.json`);
    return file;
  }
  if (filesNamed) return undefined;
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const file = join(folder, "tsconfig.json");
    if (fs.existsSync(file)) return file;
    if (dirname(folder) === folder) {
      throw new UsageError("no tsconfig.json in this folder or above it: name files, or a project with -p");
    }
  }
}

/** A file as named, or what a pattern matches. */
function existing(name: string): string[] {
  const stats = fs.statSync(name, { throwIfNoEntry: false });
  if (stats?.isFile()) return [realPath(resolve(name))];
  if (stats?.isDirectory()) throw new UsageError(`${name} is a folder: name files, or a tsconfig.json with -p`);
  const found = /[*?{[]/.test(name) ? patternMatches(name) : [];
  if (found.length === 0) throw new UsageError(`${name}: no such file`);
  return found;
}

function patternMatches(pattern: string): string[] {
  // Node 20 has no glob, not even to import by name; there the shell expands patterns.
  const { globSync } = fs as Partial<typeof fs>;
  if (globSync === undefined) return [];
  return globSync(pattern)
    .map((name) => realPath(resolve(name)))
    .filter((file) => fs.statSync(file).isFile() && !file.includes(`${sep}node_modules${sep}`))
    .sort();
}

function commonFolder(files: readonly string[]): string {
  let folder = dirname(files[0]!);
  while (!files.every((file) => file.startsWith(folder + sep))) folder = dirname(folder);
  return folder;
}
