// `npm run bench`: Sinter beside its peers and the machine's own limits, every result checked before it is timed.
// README.md in this folder says how the numbers come about.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { cases } from "./cases/index.ts";
import { type Options, parseOptions, usage } from "./harness/options.ts";
import { printSection } from "./harness/report.ts";
import type { Section } from "./harness/section.ts";
import type { Context } from "./harness/timed-case.ts";

const allPeers = ["jax-js", "tfjs-wasm", "onnxruntime-web"];

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === "help") {
    console.log(usage);
    return 0;
  }
  const unknown = [
    ...options.only.filter((name) => !cases.some((entry) => entry.name === name)),
    ...(options.peers ?? []).filter((name) => !allPeers.includes(name)),
  ];
  if (unknown.length > 0) {
    console.error(
      `Unknown: ${unknown.join(", ")}. Cases: ${cases.map(({ name }) => name).join(", ")}. Peers: ${allPeers.join(", ")}.`,
    );
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), "sinter-bench-"));
  try {
    return await runCases(options, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runCases(options: Options, folder: string): Promise<number> {
  const chosen = cases.filter(({ name, runsByDefault }) =>
    options.only.length > 0 ? options.only.includes(name) : (runsByDefault?.(options) ?? true),
  );
  console.log(
    `Node ${process.version}, V8 ${process.versions.v8}, ${cpus()[0]?.model ?? "unknown processor"}, one thread`,
  );
  const sections: Section[] = [];
  for (const entry of chosen) {
    const context: Context = {
      options,
      peers: options.peers ?? allPeers,
      folder,
      progress: (text) => showProgress(`${entry.name}: ${text}`),
    };
    const section = await entry.run(context);
    clearProgress();
    printSection(section, options.checkOnly);
    sections.push(section);
  }
  if (options.json !== undefined) {
    writeFileSync(options.json, JSON.stringify({ node: process.version, sections }, undefined, 2));
  }
  const failures = sections.flatMap(({ name, failures }) => failures.map((failure) => `${name}: ${failure}`));
  for (const failure of failures) console.error(`FAILED  ${failure}`);
  console.log(failures.length === 0 ? "\nAll results are right." : `\n${failures.length} wrong.`);
  return failures.length === 0 ? 0 : 1;
}

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K");
}

process.exitCode = await main();
