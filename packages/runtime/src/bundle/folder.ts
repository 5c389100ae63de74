/** Writes the files of a bundle into a folder of the machine (Node, Deno, Bun), all or none. */
import { messageOf } from "./loader/errors.ts";
import { manifestFile } from "./loader/vouch.ts";
import { bundleFormat } from "./manifest.ts";

/** What is used of node:fs, written out: declarations of the package must not need those of Node. */
export interface Fs {
  closeSync(handle: number): void;
  existsSync(path: string): boolean;
  fsyncSync(handle: number): void;
  mkdirSync(path: string, options: { readonly recursive: true }): unknown;
  openSync(path: string, flags: string): number;
  readdirSync(path: string): string[];
  readFileSync(path: string, encoding: "utf8"): string;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { readonly recursive: true; readonly force?: true }): void;
  statSync(path: string): { isDirectory(): boolean };
  writeSync(handle: number, bytes: Uint8Array, offset: number, length: number): number;
}

/** Behind the name of a bundle that is being replaced: a name that nobody gives a copy of his own. */
const oldSuffix = ".sinter-old";

/** What any bundle may have, and what file managers leave. A saved model has more, which a mere bundle must not replace. */
const ofBundles =
  /^(index\.(js|d\.ts)|manifest\.json|program(\.\w+)?\.wasm|(weights|selftest)\.safetensors|(selftest|webgpu)\.js|kernels\.wgsl|dispatch\.json|\.DS_Store)$/;

/**
 * Writes a bundle. Everything is written and flushed beside `outDir` first. A bundle that is there is replaced by two
 * renames, one right after the other; should the machine stop between them, the old bundle is whole as `outDir` with
 * `.sinter-old` behind it, and the next call puts it back before it begins. Throws where `outDir` is a file, or a folder with
 * something other than a bundle in it or beside a bundle, and changes nothing then. The caller names itself and the folder.
 */
export async function writeFolder(files: ReadonlyMap<string, Uint8Array>, outDir: string): Promise<void> {
  const [fs, path] = await Promise.all([
    load<typeof import("node:fs")>("fs"),
    load<typeof import("node:path")>("path"),
  ]);
  replaceFolder(fs, files, path.resolve(outDir));
}

// In pieces, so that no bundler for browsers looks for it.
async function load<T>(name: string): Promise<T> {
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ ["node", name].join(":"))) as T;
  } catch (error) {
    throw new Error(`there are no folders here: ${messageOf(error)}`);
  }
}

/** `target` is an absolute path. Synchronous, so that nothing of this process comes between the renames. */
export function replaceFolder(fs: Fs, files: ReadonlyMap<string, Uint8Array>, target: string): void {
  const old = `${target}${oldSuffix}`;
  const draft = `${target}.${Math.random().toString(36).slice(2)}.tmp`;
  if (fs.existsSync(old) && !fs.existsSync(target)) fs.renameSync(old, target);
  const before = stateOf(fs, target);
  if (before === "other") throw new Error("it is there already and is no bundle: choose another folder, or empty it");
  const strange = before === "bundle" ? strangers(fs, target, files) : [];
  if (strange.length > 0)
    throw new Error(
      `it holds ${strange.join(", ")} beside a bundle, which the new one would not have: choose another folder, or take that away`,
    );
  try {
    fs.mkdirSync(draft, { recursive: true });
    const folders = new Set([draft]);
    for (const [name, bytes] of files) {
      const parts = name.split("/");
      if (parts.some((part) => !/^[\w$][\w.$-]*$/.test(part))) throw new Error(`${name} is no name of a file`);
      const folder = [draft, ...parts.slice(0, -1)].join("/");
      if (!folders.has(folder)) fs.mkdirSync(folder, { recursive: true });
      folders.add(folder);
      writeFlushed(fs, `${draft}/${name}`, bytes);
    }
    for (const folder of folders) flushFolder(fs, folder);
    if (before === "bundle") {
      fs.rmSync(old, { recursive: true, force: true });
      fs.renameSync(target, old);
    } else if (before === "empty") fs.rmSync(target, { recursive: true });
    fs.renameSync(draft, target);
  } catch (error) {
    if (before === "bundle" && !fs.existsSync(target)) fs.renameSync(old, target);
    fs.rmSync(draft, { recursive: true, force: true });
    throw error;
  }
  fs.rmSync(old, { recursive: true, force: true });
}

function stateOf(fs: Fs, path: string): "none" | "empty" | "bundle" | "other" {
  if (!fs.existsSync(path)) return "none";
  if (!fs.statSync(path).isDirectory()) return "other";
  const entries = fs.readdirSync(path);
  if (entries.length === 0) return "empty";
  if (!entries.includes(manifestFile)) return "other";
  const text = fs.readFileSync(`${path}/${manifestFile}`, "utf8");
  // An altered bundle is replaced too.
  return text.includes(`"format": "${bundleFormat}"`) ? "bundle" : "other";
}

/** What lies in the folder of a bundle and would be lost with it: neither of a bundle nor replaced by a new file. */
function strangers(fs: Fs, folder: string, files: ReadonlyMap<string, Uint8Array>): string[] {
  const known = new Set([...files.keys()].map((name) => name.split("/")[0]!));
  return fs.readdirSync(folder).filter((entry) => !known.has(entry) && !ofBundles.test(entry));
}

function writeFlushed(fs: Fs, file: string, bytes: Uint8Array): void {
  const handle = fs.openSync(file, "wx");
  try {
    for (let at = 0; at < bytes.length; ) at += fs.writeSync(handle, bytes, at, bytes.length - at);
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/** Names of files are on disk only when their folder is. Systems that cannot flush folders do without. */
function flushFolder(fs: Fs, folder: string): void {
  try {
    const handle = fs.openSync(folder, "r");
    try {
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
  } catch {}
}
