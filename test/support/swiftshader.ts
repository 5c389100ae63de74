/**
 * A Vulkan driver on the CPU (SwiftShader) from npm alone, so that tests of WebGPU run on machines without a GPU: unpacked
 * once under node_modules/.cache, in a folder of its own, and named by the variables that the Vulkan loader reads.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const manifest = "vk_swiftshader_icd.json";
const files = ["libvk_swiftshader.so", "libvulkan.so.1", manifest];

/** Why this machine cannot run it, or undefined where it can. */
export function whyNoSwiftShader(): string | undefined {
  const { platform, arch } = process;
  if (platform === "linux" && arch === "x64") return undefined;
  return `the SwiftShader among the development dependencies is for Linux on x64, this is ${platform} on ${arch}`;
}

/**
 * Makes processes that are started from now on use SwiftShader, unless VK_ICD_FILENAMES names a driver already or
 * SINTER_GPU=own asks for the machine's. Too late for this process itself: its loader has read the path of libraries.
 */
export function useSwiftShader(): void {
  const { env } = process;
  if (env["VK_ICD_FILENAMES"] !== undefined || env["SINTER_GPU"] === "own" || whyNoSwiftShader() !== undefined) return;
  const folder = unpack();
  env["VK_ICD_FILENAMES"] = join(folder, manifest);
  const others = env["LD_LIBRARY_PATH"];
  env["LD_LIBRARY_PATH"] = others ? `${folder}:${others}` : folder;
}

/** Unpacks the installed version, unless that has been done; several processes may try at once. */
function unpack(): string {
  const home = dirname(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")));
  const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { version: string };
  const parent = join(root, "node_modules/.cache/sinter-swiftshader");
  const folder = join(parent, version);
  if (existsSync(folder)) return folder;
  mkdirSync(parent, { recursive: true });
  const draft = mkdtempSync(join(parent, "draft-"));
  const contents = readTar(brotliDecompressSync(readFileSync(join(home, "bin/swiftshader.tar.br"))));
  for (const file of files) {
    const data = contents.get(file);
    if (data === undefined) throw new Error(`@sparticuz/chromium ${version} holds no ${file}`);
    writeFileSync(join(draft, file), data, { mode: 0o755 });
  }
  try {
    renameSync(draft, folder);
  } catch {
    // Another process was quicker.
    rmSync(draft, { recursive: true, force: true });
  }
  return folder;
}

/** The files of a tar archive by name: headers of 512 bytes, each followed by a file in whole blocks of as many. */
function readTar(archive: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  const field = (at: number, length: number): string => {
    const [text = ""] = archive.toString("latin1", at, at + length).split("\0");
    return text;
  };
  for (let at = 0; at + 512 <= archive.length; ) {
    const name = field(at, 100);
    if (name === "") break;
    const size = Number.parseInt(field(at + 124, 12), 8);
    found.set(name.replace(/^\.\//, ""), archive.subarray(at + 512, at + 512 + size));
    at += 512 + 512 * Math.ceil(size / 512);
  }
  return found;
}
