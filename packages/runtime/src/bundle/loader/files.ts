/** Where a bundle's files come from: memory, a folder (Node, Deno, Bun), or a server. */
import { BundleError, messageOf } from "./errors.ts";

/** Bytes by name of the file. */
export type Files = ReadonlyMap<string, Uint8Array> | Readonly<Record<string, Uint8Array>>;

export interface Origin {
  readonly read: (name: string) => Promise<Uint8Array>;
  /** Reads a module, and begins to compile it while it arrives. */
  readonly readModule: (
    name: string,
  ) => Promise<{ readonly bytes: Uint8Array; readonly module?: Promise<WebAssembly.Module> }>;
}

export function fromFiles(files: Files): Origin {
  const read = async (name: string): Promise<Uint8Array> => {
    const bytes =
      files instanceof Map
        ? files.get(name)
        : Object.hasOwn(files, name)
          ? (files as Record<string, Uint8Array>)[name]
          : undefined;
    if (!(bytes instanceof Uint8Array)) throw new BundleError(`${name}: is missing from the files`);
    return bytes;
  };
  return { read, readModule: async (name) => ({ bytes: await read(name) }) };
}

/** `places`: of each file, by name; absolute, where there is no page to be relative to. */
export function fromUrls(places: (name: string) => string | URL): Origin {
  const open = async (name: string): Promise<Uint8Array | Response> => {
    let place = places(name);
    try {
      const url = new URL(place, globalThis.location?.href);
      place = url;
      if (url.protocol === "file:") {
        // In pieces, so that no bundler for browsers looks for it.
        const fs = (await import(/* webpackIgnore: true */ /* @vite-ignore */ ["node:fs", "promises"].join("/"))) as {
          readFile(from: URL): Promise<Uint8Array>;
        };
        return await fs.readFile(url);
      }
      const response = await fetch(url);
      if (!response.ok) throw new Error(`status ${response.status}`);
      return response;
    } catch (error) {
      throw new BundleError(`${name}: cannot be read from ${place}: ${messageOf(error)}`);
    }
  };
  const bytesOf = async (name: string, got: Uint8Array | Response): Promise<Uint8Array> => {
    try {
      return got instanceof Uint8Array ? got : new Uint8Array(await got.arrayBuffer());
    } catch (error) {
      throw new BundleError(`${name}: cannot be read: ${messageOf(error)}`);
    }
  };
  return {
    read: async (name) => bytesOf(name, await open(name)),
    async readModule(name) {
      const got = await open(name);
      if (got instanceof Uint8Array || !WebAssembly.compileStreaming) return { bytes: await bytesOf(name, got) };
      const module = WebAssembly.compileStreaming(got.clone());
      // Servers that give another type: the bytes are compiled instead.
      module.catch(() => {});
      return { bytes: await bytesOf(name, got), module };
    },
  };
}
