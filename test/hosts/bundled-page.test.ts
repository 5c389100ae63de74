// A page that imports a bundle and is built for production by vite: what it downloads, and what it answers.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, type Rolldown } from "vite";
import { afterAll, expect, test } from "vitest";
import { launchChromium, whyNoChromium } from "../browser/chromium.ts";
import { fullRun } from "../support/fuzz.ts";
import { open } from "./browser-hosts.ts";
import { control } from "./cases.ts";
import { jobScript, writeFiles } from "./command-hosts.ts";
import type { Answer, Job } from "./job.ts";

const reason = whyNoChromium() ?? (fullRun ? undefined : "it is slow; SINTER_FULL=1 runs it");
if (reason !== undefined) console.log(`A page built by vite is not tried: ${reason}.`);
const folder = mkdtempSync(join(tmpdir(), "sinter-page-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(reason !== undefined)("a page built by vite answers with the files of the bundle alone", async () => {
  const { files, calls, expected } = control();
  const job: Job = { bundle: "", calls, selfTest: true };
  const main =
    'import * as bundle from "./bundle/index.js";\n' +
    'import { callBundle } from "./job.js";\n' +
    `const answer = await callBundle(bundle, ${JSON.stringify(job)});\n` +
    "globalThis.answer = JSON.stringify(answer);\n";
  writeFiles(
    folder,
    new Map<string, string | Uint8Array>([
      ["index.html", '<!doctype html><title></title><script type="module" src="./main.js"></script>'],
      ["main.js", main],
      ["job.js", jobScript],
      ...[...files].map(([path, bytes]) => [`bundle/${path}`, bytes] as const),
    ]),
  );
  const { output } = (await build({
    root: folder,
    configFile: false,
    logLevel: "error",
    // Small files would become data: addresses, which the policy forbids to fetch.
    build: { write: false, target: "esnext", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  })) as Rolldown.RolldownOutput;
  const modules = output.flatMap((each) => (each.type === "chunk" ? each.moduleIds : []));
  // What begins with a zero byte is the bundler's own.
  const own = modules.filter((path) => !path.startsWith("\0"));
  expect(own.map((path) => path.replace(`${folder}/`, "")).sort()).toEqual([
    "bundle/index.js",
    "bundle/selftest.js",
    "index.html",
    "job.js",
    "main.js",
  ]);
  const built = new Map(output.map((each) => [each.fileName, each.type === "chunk" ? each.code : each.source]));
  const browser = await launchChromium();
  try {
    const { answer } = await open(browser, built);
    const { build, results, selfTest } = JSON.parse(answer) as Answer;
    expect({ build, selfTest }).toMatchObject({ build: "relaxed-simd", selfTest: { ok: true, rule: "bits" } });
    expect(results).toEqual(expected);
  } finally {
    await browser.close();
  }
});
