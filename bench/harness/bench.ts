// What both benches do: run cases one after the other, print what they found, and say whether all results were right.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Case } from "../cases/case.ts";
import type { Options } from "./options.ts";
import { printSection } from "./report.ts";
import type { Section } from "./section.ts";
import type { Context } from "./timed-case.ts";

export interface Bench {
  readonly cases: readonly Case[];
  /** All peers beside Sinter. */
  readonly peers: readonly string[];
  /** Where their modules are in bench/; `peers` unless given. */
  readonly peerFolder?: string;
}

/** What is named on the command line and does not exist, as a sentence; undefined if nothing. */
export function unknownNames(options: Options, { cases, peers }: Bench): string | undefined {
  const unknown = [
    ...options.only.filter((name) => !cases.some((entry) => entry.name === name)),
    ...(options.peers ?? []).filter((name) => !peers.includes(name)),
  ];
  if (unknown.length === 0) return undefined;
  return `Unknown: ${unknown.join(", ")}. Cases: ${cases.map(({ name }) => name).join(", ")}. Peers: ${peers.join(", ")}.`;
}

/** Runs the chosen cases; the exit code. `head` says where, and goes into the file of samples too. */
export async function runBench(options: Options, bench: Bench, head: string): Promise<number> {
  console.log(head);
  const folder = mkdtempSync(join(tmpdir(), "sinter-bench-"));
  try {
    return await runCases(options, bench, head, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runCases(options: Options, bench: Bench, head: string, folder: string): Promise<number> {
  const chosen = bench.cases.filter(({ name, runsByDefault }) =>
    options.only.length > 0 ? options.only.includes(name) : (runsByDefault?.(options) ?? true),
  );
  const sections: Section[] = [];
  for (const entry of chosen) {
    const context: Context = {
      options,
      peers: options.peers ?? bench.peers,
      ...(bench.peerFolder === undefined ? {} : { peerFolder: bench.peerFolder }),
      folder,
      progress: (text) => showProgress(`${entry.name}: ${text}`),
    };
    const section = await entry.run(context);
    clearProgress();
    printSection(section, options.checkOnly);
    sections.push(section);
  }
  if (options.json !== undefined) {
    writeFileSync(options.json, JSON.stringify({ node: process.version, where: head, sections }, undefined, 2));
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
