/** What training asks of the machine that it runs on, where that has it: files, signals, turns of the event loop. */
import { SinterError } from "@sinter/tracer";

/** What is used of Node's process, written out: declarations of the package must not need those of Node. */
export interface Process {
  readonly pid: number;
  readonly stdout?: { readonly isTTY?: boolean };
  readonly stderr?: { readonly isTTY?: boolean };
  on(event: "SIGINT", listener: () => void): unknown;
  off(event: "SIGINT", listener: () => void): unknown;
  kill(pid: number, signal: "SIGINT"): unknown;
}

/** What is used of node:fs. */
export interface Files {
  appendFileSync(path: string, data: string | Uint8Array): void;
  existsSync(path: string): boolean;
  mkdirSync(path: string, options: { readonly recursive: true }): unknown;
  readFileSync(path: string, encoding: "utf8"): string;
  writeFileSync(path: string, data: string | Uint8Array): void;
}

/** Node's process, or what is like it in Deno and Bun. */
export function hostProcess(): Process | undefined {
  const { process } = globalThis as { readonly process?: Partial<Process> };
  return typeof process?.on === "function" && typeof process.kill === "function" ? (process as Process) : undefined;
}

/** A module that may not be there. The name comes in parts, so that no bundler for browsers looks for it. */
export async function optionalModule<T>(...parts: readonly string[]): Promise<T | undefined> {
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ parts.join(""))) as T;
  } catch {
    return undefined;
  }
}

/** The file system, for whoever is named. */
export async function fileSystem(caller: string): Promise<Files> {
  const found = await optionalModule<Files>("node", ":", "fs");
  if (found === undefined) throw new SinterError(`${caller}: there are no files here`);
  return found;
}

/** A path's folder is made where it is not there. */
export function makeFolderOf(files: Files, path: string): void {
  const folder = path.replace(/[/\\]?[^/\\]*$/, "");
  if (folder !== "") files.mkdirSync(folder, { recursive: true });
}

/** Lets everything that waits have its turn: signals, timers, drawing, the collector's finalisers. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
