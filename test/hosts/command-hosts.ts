/**
 * The hosts that are commands: each runs a job in a process of its own, in a folder that holds the bundles and nothing
 * of this repository, so that what is not in a bundle cannot be loaded.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { findNodes } from "../support/nodes.ts";
import type { Answer, Job } from "./job.ts";

/** Files by path, below one folder. */
export type Files = ReadonlyMap<string, string | Uint8Array>;

export interface Host {
  readonly name: string;
  /** What it compiles WebAssembly with: the same engine and build make the same bits. */
  readonly engine: "V8" | "JavaScriptCore";
  run(files: Files, jobs: readonly Job[]): Promise<readonly Answer[]>;
}

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

/** `job.ts` as JavaScript. */
export const jobScript: string = transformSync(readFileSync(join(here, "job.ts"), "utf8"), { loader: "ts" }).code;

const mainScript = `
import { readFile } from "node:fs/promises";
import { runJobs } from "./job.js";
const jobs = JSON.parse(await readFile(new URL("jobs.json", import.meta.url), "utf8"));
console.log(JSON.stringify(await runJobs(jobs, import.meta.url)));
`;

/** Every Node of these that is at hand, Deno and Bun; says which are missing. */
export function commandHosts(): readonly Host[] {
  const hosts: Host[] = findNodes([20, 22, 24]).map(({ major, path }) =>
    commandHost(`Node ${major}`, "V8", path, () => ["main.js"]),
  );
  const deno = packagedBinary("deno", ["deno", "deno.exe"]);
  // It may read the folder and nothing else: no network, no environment, no other file.
  if (deno !== undefined)
    hosts.push(
      commandHost("Deno", "V8", deno, (folder) => [
        "run",
        "--no-config",
        "--no-prompt",
        `--allow-read=${folder}`,
        "main.js",
      ]),
    );
  const bun = packagedBinary("bun", ["bin/bun", "bin/bun.exe"]);
  if (bun !== undefined)
    hosts.push(commandHost("Bun", "JavaScriptCore", bun, () => ["run", "--no-install", "main.js"]));
  return hosts;
}

/**
 * The executable that a package carries in an optional package for each platform, or that its install script has moved
 * into the package; says that there is none.
 */
function packagedBinary(name: string, places: readonly string[]): string | undefined {
  const manifest = require.resolve(`${name}/package.json`);
  const { optionalDependencies } = require(manifest) as { optionalDependencies: Readonly<Record<string, string>> };
  const within = createRequire(manifest);
  const homes = Object.keys(optionalDependencies).flatMap((dependency) => {
    try {
      return [dirname(within.resolve(`${dependency}/package.json`))];
    } catch {
      return [];
    }
  });
  for (const path of [...homes, dirname(manifest)].flatMap((home) => places.map((place) => join(home, place)))) {
    // What is there before an install script ran is a small script that says so.
    if (existsSync(path) && statSync(path).size > 1e6) return path;
  }
  console.log(`Not tried in ${name}: its npm package has no executable for ${process.platform} on ${process.arch}.`);
  return undefined;
}

function commandHost(
  name: string,
  engine: Host["engine"],
  command: string,
  options: (folder: string) => readonly string[],
): Host {
  return {
    name,
    engine,
    run: async (files, jobs) => {
      const folder = mkdtempSync(join(tmpdir(), "sinter-host-"));
      try {
        const all = new Map<string, string | Uint8Array>([
          ...files,
          ["package.json", '{ "type": "module" }'],
          ["job.js", jobScript],
          ["main.js", mainScript],
          ["jobs.json", JSON.stringify(jobs)],
        ]);
        writeFiles(folder, all);
        return JSON.parse(await output(command, options(folder), folder)) as Answer[];
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

export function writeFiles(folder: string, files: Files): void {
  for (const [path, content] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

/** What a command printed; throws what it wrote to its error output unless it exits with 0. */
function output(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { NODE_OPTIONS, VITEST, ...env } = process.env;
  const child = spawn(command, args, { cwd, env: { ...env, NO_COLOR: "1" }, stdio: ["ignore", "pipe", "pipe"] });
  const out: string[] = [];
  const err: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => out.push(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => err.push(text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0) resolve(out.join(""));
      else reject(new Error(`${command} ${args.join(" ")} ended with ${status}:\n${err.join("")}${out.join("")}`));
    });
  });
}
