/**
 * A headless Chromium from npm alone: unpacked once under node_modules/.cache, with the libraries it needs beside it,
 * and started without a network but this machine's own. Where there is none, the reason to print instead.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * Flags with which pages have WebGPU, on a driver of the CPU that comes with the browser. It takes long to compile the zeros
 * that memory of a group starts with where they are a constant; off, threads write them.
 */
export const softwareWebgpu: readonly string[] = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension",
];

/** What runs in a process of its own: the package unpacks into the folder for temporary files. */
const unpackScript = `
  const { default: chromium, inflate } = await import(process.argv[1]);
  await chromium.executablePath();
  await inflate(process.argv[2]);
`;

interface Unpacked {
  readonly executable: string;
  readonly libraries: string;
  /** Configuration of the fonts that came with it, and of this machine's. */
  readonly fonts: string;
}

/** Why this machine cannot run the browser, or undefined where it can. */
export function whyNoChromium(): string | undefined {
  const { platform, arch } = process;
  if (platform === "linux" && arch === "x64") return undefined;
  return `the Chromium among the development dependencies is for Linux on x64, this is ${platform} on ${arch}`;
}

/**
 * Starts the browser. No host but this machine's loopback can be reached from it. `args` are more flags of Chromium.
 * Whoever starts it closes it.
 */
export async function launchChromium(args: readonly string[] = []): Promise<Browser> {
  const { executable, libraries, fonts } = unpack();
  const { chromium } = await import("playwright-core");
  return await chromium.launch({
    executablePath: executable,
    headless: true,
    env: { ...process.env, LD_LIBRARY_PATH: libraries, FONTCONFIG_FILE: fonts },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
      ...args,
    ],
  });
}

/** Unpacks the browser of the installed version, unless that has been done; several processes may try at once. */
function unpack(): Unpacked {
  const entry = createRequire(import.meta.url).resolve("@sparticuz/chromium");
  const home = dirname(dirname(entry));
  const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { version: string };
  const parent = join(root, "node_modules/.cache/sinter-chromium");
  const folder = join(parent, version);
  if (!existsSync(folder)) {
    mkdirSync(parent, { recursive: true });
    const draft = mkdtempSync(join(parent, "draft-"));
    const libraries = join(home, "bin/al2023.tar.br");
    const options = ["--input-type=module", "--eval", unpackScript, "--", entry, libraries];
    const run = spawnSync(process.execPath, options, { encoding: "utf8", env: { ...process.env, TMPDIR: draft } });
    if (run.status !== 0) throw new Error(`Chromium could not be unpacked:\n${run.stderr}`);
    try {
      renameSync(draft, folder);
    } catch {
      // Another process was quicker.
      rmSync(draft, { recursive: true, force: true });
    }
  }
  // The package's own configuration names folders that only its first home has: without fonts no text is drawn.
  const fonts = join(folder, "fonts", "browser.conf");
  if (!existsSync(fonts)) writeFileSync(fonts, fontConfiguration(join(folder, "fonts")));
  return { executable: join(folder, "chromium"), libraries: join(folder, "al2023/lib"), fonts };
}

function fontConfiguration(folder: string): string {
  const folders = [folder, "/usr/share/fonts"].map((name) => `  <dir>${name}</dir>`).join("\n");
  const head = '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n';
  return `${head}<fontconfig>\n${folders}\n  <cachedir>${join(folder, "cache")}</cachedir>\n</fontconfig>\n`;
}
