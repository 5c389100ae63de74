// Exported bundles: how large their files are, how soon they answer in a fresh Node, and what a page downloads.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { bundlePage, compilePage, type Page } from "../bundle/download.ts";
import { type Files, inferenceBundle, trainingBundle } from "../bundle/exported.ts";
import { atMost, type Section, significant, type Table } from "../harness/section.ts";
import { median } from "../harness/statistics.ts";
import type { Context } from "../harness/timed-case.ts";
import type { Case } from "./case.ts";

interface Start {
  /** Milliseconds from an imported loader to a program, and of its first call. */
  readonly load: number;
  readonly answer: number;
  readonly build: string;
}

const subjects = [
  { name: "inference", make: inferenceBundle, inputs: [{ dtype: "f32", size: 784 }], kilobytes: 20 },
  {
    name: "training step",
    make: trainingBundle,
    inputs: [
      { dtype: "f32", size: 128 * 784 },
      { dtype: "i32", size: 128 },
    ],
    kilobytes: 60,
  },
] as const;

export const bundle: Case = {
  name: "bundle",
  run: async (context) => {
    const failures: string[] = [];
    const bundles = subjects.map(({ name, make }) => {
      context.progress(`exporting ${name}`);
      const files = make();
      if (!same(files, make())) failures.push(`${name}: exported twice, its files differ`);
      return files;
    });
    const starts = subjects.map(({ name, inputs }, i) => startsOf(context, name, bundles[i]!, inputs));
    context.progress("building pages");
    const pages = {
      "compile()": await compilePage(join(context.folder, "compile-page")),
      "a bundle": await bundlePage(join(context.folder, "bundle-page"), bundles[0]!),
    };
    const compiler = pages["a bundle"].modules.filter((path) => /packages|binaryen|node_modules/.test(path));
    if (compiler.length > 0) failures.push(`the page of the bundle holds the compiler: ${compiler.join(", ")}`);
    return {
      name: "bundle",
      title: "Bundles of the classifier of digits: bytes, and milliseconds until the first answer",
      tables: [sizes(bundles), ...(starts.flat().length > 0 ? [times(starts)] : []), downloads(pages, bundles[0]!)],
      notes: ["times are from the import of the loader, in a fresh process in which the files have been read before"],
      targets: [
        ...subjects.map(({ name, kilobytes }, i) =>
          atMost(`${name}: wasm and loader under ${kilobytes} kB`, programBytes(bundles[i]!) / 1000, kilobytes, " kB"),
        ),
        ...subjects.slice(0, 1).map(({ name }, i) => {
          const totals = starts[i]!.map(({ load, answer }) => load + answer);
          return atMost(
            `${name}: under 10 ms to the first answer`,
            totals.length === 0 ? undefined : median(totals),
            10,
            " ms",
          );
        }),
      ],
      failures,
      data: { starts },
    } satisfies Section;
  },
};

function same(a: Files, b: Files): boolean {
  return (
    a.size === b.size && [...a].every(([name, bytes]) => Buffer.compare(bytes, b.get(name) ?? new Uint8Array()) === 0)
  );
}

/** What one engine loads: the larger of the builds, and the loader. */
function programBytes(files: Files): number {
  const builds = [...files].filter(([name]) => name.endsWith(".wasm")).map(([, bytes]) => bytes.length);
  return Math.max(...builds) + files.get("index.js")!.length;
}

function startsOf(context: Context, name: string, files: Files, inputs: unknown): Start[] {
  const folder = join(context.folder, name.replaceAll(" ", "-"));
  mkdirSync(folder, { recursive: true });
  for (const [path, bytes] of files) writeFileSync(join(folder, path), bytes);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const rounds = context.options.checkOnly ? 0 : context.options.quick ? 3 : 21;
  return Array.from({ length: rounds }, (_, round) => {
    context.progress(`${name}, start ${round + 1}`);
    const script = join(import.meta.dirname, "../bundle/first-answer.mjs");
    const run = spawnSync(process.execPath, [script, folder, JSON.stringify(inputs)], { encoding: "utf8" });
    if (run.status !== 0) throw new Error(`the bundle of ${name} failed:\n${run.stderr}`);
    return JSON.parse(run.stdout) as Start;
  });
}

const gzipped = (bytes: string | Uint8Array): number => gzipSync(bytes, { level: 9 }).length;

function sizes(bundles: readonly Files[]): Table {
  return {
    columns: ["bundle", "file", "bytes", "gzip"],
    rows: bundles.flatMap((files, i) =>
      [...files].map(([name, bytes]) => [subjects[i]!.name, name, String(bytes.length), String(gzipped(bytes))]),
    ),
  };
}

function times(starts: readonly (readonly Start[])[]): Table {
  return {
    columns: ["bundle", "build", "load", "first call", "both"],
    rows: starts.map((own, i) => [
      subjects[i]!.name,
      own[0]!.build,
      significant(median(own.map(({ load }) => load))),
      significant(median(own.map(({ answer }) => answer))),
      significant(median(own.map(({ load, answer }) => load + answer))),
    ]),
  };
}

function downloads(pages: Readonly<Record<string, Page>>, files: Files): Table {
  const rows = Object.entries(pages).map(([name, { scripts }]) => {
    const code = [...scripts.values()].join("\n");
    return [`page with ${name}`, "scripts", String(Buffer.byteLength(code)), String(gzipped(code))];
  });
  const fetched = [...files].filter(([name]) => name === "manifest.json" || name === "program.relaxed.wasm");
  const rest = fetched.map(([name, bytes]) => [
    "page with a bundle",
    name,
    String(bytes.length),
    String(gzipped(bytes)),
  ]);
  return { columns: ["download", "", "bytes", "gzip"], rows: [...rows, ...rest] };
}
