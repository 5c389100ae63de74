/** Bundles for programs that have Sinter: the loader that bundles carry, and what is beside it for a compiler. */
import { type Graph, parseGraph, printedText, type TypedArray, verifyGraph } from "@sinter/ir";
import { checkManifest } from "./loader/check.ts";
import { checkPlan } from "./loader/check-plan.ts";
import { memoryLimit } from "./loader/dtypes.ts";
import { BundleError, messageOf } from "./loader/errors.ts";
import { below, list, matching, optional, record, text } from "./loader/fields.ts";
import { type Files, fromFiles, fromUrls, type Origin } from "./loader/files.ts";
import { checkFile, type Program } from "./loader/index.ts";
import { sized } from "./loader/sizes.ts";
import { type AsyncProgram, load, type TargetOptions } from "./loader/targets.ts";
import { manifestFile, readManifest } from "./loader/vouch.ts";
import type { Manifest } from "./manifest.ts";
import { dataOf, readSafetensors } from "./safetensors.ts";

/** A folder (its path or its URL, also that of the manifest in it), or the files of a bundle. */
export type BundleSource = string | URL | Files;

/** How `loadBundle` runs what it loads. */
export type OpenOptions = Omit<TargetOptions, "base" | "files">;

/**
 * Loads a bundle to run it: one that carries a program for WebGPU is an `AsyncProgram`, which answers later. The code is
 * that of the bundle's own `index.js`, which is not executed. Throws BundleError.
 */
export async function loadBundle<P extends Program | AsyncProgram = Program>(
  from: BundleSource,
  options: OpenOptions = {},
): Promise<P> {
  const place = await placeOf(from);
  const program = await load(
    () => ({}),
    printedText,
    sized,
    { ...options, ...(place instanceof URL ? { base: place } : { files: place }) },
    { manifest: checkManifest, plan: checkPlan },
  );
  return program as P;
}

/** A bundle's parts, checked as they are read. */
export interface OpenBundle {
  readonly manifest: Manifest;
  /** A file; one that the manifest names must be as it says. */
  read(file: string): Promise<Uint8Array>;
  /** Contents of variables and constants by name. Not of bundles whose weights are embedded. */
  tensors(): Promise<(name: string) => TypedArray>;
  /** The graph of a function, as it was traced. */
  graph(name: string): Promise<Graph>;
}

/** Opens a bundle without running it. Throws BundleError. */
export async function openBundle(from: BundleSource): Promise<OpenBundle> {
  const place = await placeOf(from);
  const origin: Origin = place instanceof URL ? fromUrls((name) => new URL(name, place)) : fromFiles(place);
  const manifest = readManifest(await origin.read(manifestFile));
  checkManifest(manifest);
  checkGraphs(manifest);
  const { weights, selfTest, builds, graphs } = manifest;
  const dispatches = builds.flatMap((build) => (build.build === "webgpu" ? [build.dispatch] : []));
  const entries = new Map(
    [...builds, ...dispatches, weights, selfTest, ...(graphs ?? [])].flatMap((entry) =>
      entry === undefined ? [] : [[entry.file, entry] as const],
    ),
  );
  const read = async (file: string): Promise<Uint8Array> => {
    const content = await origin.read(file);
    const entry = entries.get(file);
    if (entry !== undefined) checkFile(entry, content);
    return content;
  };
  return {
    manifest,
    read,
    async tensors() {
      if (weights === undefined && manifest.variables.length + manifest.constants.length === 0) return missing;
      if (weights === undefined) throw new BundleError(`${manifestFile}: the weights are inside the program`);
      const content = await read(weights.file);
      const { tensors } = parsed(weights.file, () => readSafetensors(content, weights.file));
      return (name) => {
        const found = tensors.get(name);
        if (found === undefined) throw new BundleError(`${weights.file}: has no ${JSON.stringify(name)}`);
        return dataOf(found);
      };
    },
    async graph(name) {
      const text = new TextDecoder().decode(await read(`graph/${name}.ir`));
      const dataFile = `graph/${name}.safetensors`;
      const data = new Map<string, TypedArray>();
      if (entries.has(dataFile)) {
        const content = await read(dataFile);
        const { tensors } = parsed(dataFile, () => readSafetensors(content, dataFile));
        for (const [label, tensor] of tensors) data.set(label, dataOf(tensor));
      }
      return parsed(`graph/${name}.ir`, () => {
        const graph = parseGraph(text, { data });
        verifyGraph(graph);
        return graph;
      });
    },
  };
}

function missing(name: string): never {
  throw new BundleError(`${manifestFile}: there is no variable or constant ${JSON.stringify(name)}`);
}

function parsed<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new BundleError(`${file}: ${messageOf(error).replace(`${file}: `, "")}`);
  }
}

/** What the loader of a bundle does not look at. */
function checkGraphs({ graphs }: Manifest): void {
  const name = matching(/^graph\/[\w$][\w.$-]*$/, "a file of the folder graph");
  optional(list(record({ file: name, bytes: below(memoryLimit), crc32: text })))(graphs, "graphs");
}

/** The folder's URL with a slash behind it, or the files. */
async function placeOf(from: BundleSource): Promise<URL | Files> {
  if (typeof from !== "string" && !(from instanceof URL)) return from;
  const text = String(from)
    .replace(/(^|[\\/])manifest\.json$/, "$1.")
    .replace(/\/?$/, "/");
  if (from instanceof URL || /^[a-z][a-z\d+.-]+:/i.test(text)) return new URL(text);
  const page = globalThis.location?.href;
  if (page !== undefined) return new URL(text, page);
  const name = ["node", "url"].join(":");
  const { pathToFileURL } = (await import(
    /* webpackIgnore: true */ /* @vite-ignore */ name
  )) as typeof import("node:url");
  return pathToFileURL(text);
}
