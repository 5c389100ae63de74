/** Reads a manifest as far as checksums go: that nobody altered it, and that the module was written with it. */
import { bundleAbi, type Manifest, type Source } from "../manifest.ts";
import { crc32 } from "./crc32.ts";
import { BundleError, messageOf } from "./errors.ts";
import { parseJson, quoted } from "./json.ts";

export const manifestFile = "manifest.json";
/** How the file ends: the checksum's eight digits take the place of the x. */
export const manifestEnd = '"crc32": "xxxxxxxx"\n}\n';
/** The section of a module that holds the checksum of the manifest. */
export const moduleSection = "sinter";

/** Throws a `BundleError` where the checksum or the version is another, or the file is no JSON. */
export function readManifest(bytes: Uint8Array): Manifest {
  const body = bytes.subarray(0, Math.max(0, bytes.length - manifestEnd.length));
  try {
    if (new TextDecoder().decode(bytes.subarray(body.length)) !== manifestEnd.replace("xxxxxxxx", crc32(body)))
      throw new Error("incomplete or altered: its checksum is not that of its contents");
    const manifest = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Manifest;
    const { abi } = manifest;
    if (abi !== bundleAbi)
      throw new Error(`abi must be ${bundleAbi}, the version that this loader knows, but is ${quoted(abi)}`);
    return manifest;
  } catch (error) {
    throw new BundleError(`${manifestFile}: ${messageOf(error)}`);
  }
}

/** The checksum of a manifest but for what it says of the modules: these contain it. */
export function vouched({ builds, crc32: own, ...rest }: Partial<Manifest>): string {
  return crc32(new TextEncoder().encode(JSON.stringify(rest)));
}

/** Names a slot. */
export function keyOf({ kind, index }: { readonly kind: Source["kind"] | string; readonly index: number }): string {
  return `${kind} ${index}`;
}
