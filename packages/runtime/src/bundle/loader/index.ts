/**
 * Loads a bundle: reads its files, checks every one of them, picks the build for this engine, and makes the program that
 * people use. Imports nothing, and is what `index.js` of a bundle is made of.
 */
import type { HostValue } from "@sinter/ir/program";
import type { BuildName, FileEntry, Manifest, WasmBuild } from "../manifest.ts";
import { crc32 } from "./crc32.ts";
import { missing } from "./engine.ts";
import { BundleError, messageOf } from "./errors.ts";
import { type Files, fromFiles, fromUrls, type Origin } from "./files.ts";
import { type Parts, start, type Variable } from "./instance.ts";
import type { SelfTestReport } from "./self-test.ts";
import type { Sized } from "./sizes.ts";
import { manifestFile, moduleSection, readManifest, vouched } from "./vouch.ts";

export { AssertionError, BundleError } from "./errors.ts";
export type { Files } from "./files.ts";
export type { Variable } from "./instance.ts";
export type { SelfTestReport } from "./self-test.ts";
export type { ResultTensor } from "./trees.ts";

export interface LoadOptions {
  /** The folder to load from, where it is not beside the loader. */
  readonly base?: string | URL;
  /** The files' contents, where they are not to be read at all. */
  readonly files?: Files;
  /** The build to take; by default the first that the engine can run. */
  readonly build?: WasmBuild["build"];
  /** Takes what the program prints; `console.log` by default. */
  readonly log?: (text: string) => void;
}

/** A loaded bundle. All calls are synchronous, but for `selfTest`. */
export interface Program {
  readonly name: string;
  /** The build that runs. */
  readonly build: BuildName;
  /** The first function. */
  run(...args: readonly unknown[]): unknown;
  readonly functions: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  readonly variables: Readonly<Record<string, Variable>>;
  /** The values of all variables, as a safetensors file. */
  saveState(): Uint8Array<ArrayBuffer>;
  /** Gives all variables the values of a file from `saveState`; changes nothing where it does not fit. */
  loadState(bytes: Uint8Array): void;
  /**
   * Replays the calls that were recorded when the bundle was written (of one function, or all), from the variables as they
   * are in the bundle, and compares. The program's own variables are not touched.
   */
  selfTest(name?: string): Promise<SelfTestReport>;
  /** Lets go of the memory; again, it does nothing. Using the program afterwards is an error. */
  dispose(): void;
}

/** How values are printed: a bundle that prints nothing has it not. */
export type Text = (format: readonly string[], values: readonly HostValue[]) => string;

/**
 * Loads the bundle whose files are at `urls`, unless the options say otherwise. `check` looks at a manifest whose writer is
 * not trusted. Throws `BundleError`.
 */
export async function load(
  urls: () => Readonly<Record<string, URL>>,
  text: Text | undefined,
  sized: Sized | undefined,
  options: LoadOptions = {},
  check?: (manifest: Manifest) => void,
): Promise<Program> {
  return opened(urls, options, check, (origin, manifest) =>
    wasmProgram(origin, manifest, text, sized, options, manifest.weights),
  );
}

/** What `make` makes of the manifest, which `check` has looked at. */
export async function opened<P>(
  urls: () => Readonly<Record<string, URL>>,
  options: LoadOptions,
  check: ((manifest: Manifest) => void) | undefined,
  make: (origin: Origin, manifest: Manifest) => Promise<P>,
): Promise<P> {
  try {
    const origin = originOf(urls, options);
    const manifest = readManifest(await origin.read(manifestFile));
    if (check !== undefined) check(manifest);
    return await make(origin, manifest);
  } catch (error) {
    // Nobody vouches for a manifest before its module is read: it may lack anything.
    throw error instanceof BundleError ? error : new BundleError(`${manifestFile}: ${messageOf(error)}`);
  }
}

/** Runs one of the builds for WebAssembly. `file`: what the weights are in, where they are not in the builds. */
export async function wasmProgram(
  origin: Origin,
  manifest: Manifest,
  text: Text | undefined,
  sized: Sized | undefined,
  options: LoadOptions,
  file: FileEntry | undefined,
): Promise<Program> {
  const build = choose(manifest.builds as readonly WasmBuild[], options.build);
  const readWeights = async (): Promise<Uint8Array | undefined> => file && readChecked(origin, file);
  const [module, weights] = await Promise.all([readModule(origin, build), readWeights()]);
  const [written] = WebAssembly.Module.customSections(module, moduleSection);
  if (new TextDecoder().decode(written) !== vouched(manifest))
    throw new BundleError(`${build.file}: was not written with this ${manifestFile}`);
  const log = options.log ?? console.log;
  const print: Parts["print"] = (format, values) => log(text!(format, values));
  const instance = await start({ manifest, build, module, weights, print, sized });
  return {
    ...instance,
    name: manifest.name,
    build: build.build,
    run: instance.functions[manifest.functions[0]!.name]!,
    async selfTest(name) {
      const fail = (why: string): never => {
        throw new BundleError(why);
      };
      const entry = manifest.selfTest ?? fail(`${manifestFile}: has no recorded calls`);
      // A file of its own: few who run a program test it.
      const { selfTest } = await import("./self-test.ts").catch((error) => fail(`selftest.js: ${messageOf(error)}`));
      const bytes = await readChecked(origin, entry);
      const fresh = await start({ manifest, build, module, weights: await readWeights(), print: () => {}, sized });
      return selfTest({ manifest, build: build.build, instance: fresh, bytes, only: name, fail });
    },
  };
}

function originOf(urls: () => Readonly<Record<string, URL>>, { base, files }: LoadOptions): Origin {
  if (files !== undefined) return fromFiles(files);
  if (base === undefined) {
    const known = urls();
    return fromUrls((name) => known[name] ?? new URL(name, known[manifestFile]));
  }
  const folder = String(base).replace(/\/?$/, "/");
  return fromUrls((name) => folder + name);
}

function choose(builds: readonly WasmBuild[], wanted: BuildName | undefined): WasmBuild {
  const lacking: string[] = [];
  for (const build of builds) {
    const features = missing(build);
    if (features.length === 0 && (wanted ?? build.build) === build.build) return build;
    lacking.push(`${build.file} is ${build.build} and needs ${features.join(", ") || "nothing more"}`);
  }
  throw new BundleError(`${manifestFile}: there is no ${wanted ?? "build"} for this engine: ${lacking.join("; ")}`);
}

export async function readChecked(origin: Origin, entry: FileEntry): Promise<Uint8Array> {
  const bytes = await origin.read(entry.file);
  checkFile(entry, bytes);
  return bytes;
}

async function readModule(origin: Origin, entry: WasmBuild): Promise<WebAssembly.Module> {
  const { bytes, module } = await origin.readModule(entry.file);
  checkFile(entry, bytes);
  try {
    return (await module?.catch(() => undefined)) ?? (await WebAssembly.compile(bytes as BufferSource));
  } catch (error) {
    throw new BundleError(`${entry.file}: cannot be compiled: ${messageOf(error)}`);
  }
}

/** Throws where a file is not what the manifest says. */
export function checkFile({ file, bytes, crc32: wanted }: FileEntry, found: Uint8Array): void {
  const sum = crc32(found);
  if (found.length !== bytes || sum !== wanted)
    throw new BundleError(
      `${file}: is incomplete or altered: ${found.length} bytes with checksum ${sum}, where the manifest says ${bytes} with ${wanted}`,
    );
}
