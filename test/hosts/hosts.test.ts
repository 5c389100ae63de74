// An exported bundle in every host at hand: the answers of the compiled functions, from nothing but the bundle's files.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchChromium, whyNoChromium } from "../browser/chromium.ts";
import { fullRun } from "../support/fuzz.ts";
import { browserHosts, visit } from "./browser-hosts.ts";
import { allCases, type Case } from "./cases.ts";
import { commandHosts, type Files, type Host } from "./command-hosts.ts";
import type { Answer, Job } from "./job.ts";

const noBrowser = whyNoChromium();
if (noBrowser !== undefined) console.log(`No bundle is tried in a browser: ${noBrowser}.`);
if (!fullRun) console.log("With SINTER_FULL=1 bundles are tried in every host, otherwise in Node, Bun and a page.");

let cases: readonly Case[] = [];
let files: Files = new Map();
let browser: Browser | undefined;
/** What the plain SIMD build answers in this Node, by case. */
let record: readonly Answer[] = [];

const commands = commandHosts();
const here = commands.find(({ name }) => name === `Node ${process.versions.node.split(".")[0]}`)!;
const deno = commands.find(({ name }) => name === "Deno");
const inQuickRun = ["Bun", "Chromium, in a page"];
/** Those of the browser exist once it runs. */
const hosts: readonly (readonly [name: string, host: () => Host])[] = [
  ...commands.map((host) => [host.name, () => host] as const),
  ...(noBrowser === undefined ? browserHosts(() => browser!).map((host) => [host.name, () => host] as const) : []),
].filter(([name]) => fullRun || name === here.name || inQuickRun.includes(name));

beforeAll(async () => {
  cases = allCases();
  files = new Map(
    cases.flatMap(({ name, files: own }) => [...own].map(([path, bytes]) => [`${name}/${path}`, bytes] as const)),
  );
  if (noBrowser === undefined) browser = await launchChromium();
  record = await here.run(files, jobs("simd"));
}, 120_000);
afterAll(() => browser?.close());

/** One job for each case; the loader chooses the build unless one is given. */
function jobs(build?: Job["build"]): readonly Job[] {
  const chosen = build === undefined ? {} : { build };
  return cases.map(
    ({ name, calls }): Job => ({
      bundle: name,
      ...chosen,
      calls,
      twice: true,
      saves: name === "training",
      selfTest: true,
    }),
  );
}

describe.each(hosts)("%s", (_, getHost) => {
  test("answers what the compiled functions answer, also beside a second instance", async () => {
    const host = getHost();
    const answers = await host.run(files, [...jobs(), ...jobs("simd")]);
    for (const [i, { name, expected, printed }] of cases.entries()) {
      const [chosen, plain] = [answers[i]!, answers[cases.length + i]!];
      // The same build on the same engine makes the same bits; plain SIMD makes them everywhere.
      if (chosen.build === "relaxed-simd" && host.engine === "V8")
        expect({ name, answers: chosen.results }).toEqual({ name, answers: expected });
      expect({ name, answers: plain.results }).toEqual({ name, answers: record[i]!.results });
      expect(plain.state).toBe(record[i]!.state);
      for (const each of [chosen, plain]) {
        expect(each.second).toEqual(each.results);
        expect(each.selfTest).toMatchObject({ ok: true });
        expect(each.log).toEqual(printed.flatMap((text) => [text, text]));
      }
    }
    if (host.name !== "Node 20") expect(answers[0]!.build).toBe("relaxed-simd");
  });
});

test.skipIf(deno === undefined || !fullRun)("training begun in Deno goes on in Node, with the same bits", async () => {
  const { name, calls } = cases[0]!;
  const job: Job = { bundle: name, build: "simd", calls: [], saves: true };
  const [begun] = await deno!.run(files, [{ ...job, calls: calls.slice(0, 3) }]);
  const [ended] = await here.run(files, [{ ...job, state: begun!.state, calls: calls.slice(3) }]);
  expect([...begun!.results, ...ended!.results]).toEqual(record[0]!.results);
  expect(ended!.state).toBe(record[0]!.state);
});

test.skipIf(noBrowser !== undefined)("a page loads the files of its build and nothing else", async () => {
  const job: Job = {
    bundle: "digits",
    build: "simd",
    calls: cases.find(({ name }) => name === "digits")!.calls,
  };
  const { requests } = await visit(browser!, "page", files, [job]);
  expect(requests.filter((path) => path.startsWith("digits/")).sort()).toEqual([
    "digits/index.js",
    "digits/manifest.json",
    "digits/program.wasm",
    "digits/weights.safetensors",
  ]);
  expect(requests.filter((path) => !path.startsWith("digits/"))).toEqual([
    "index.html",
    "page.js",
    "job.js",
    "jobs.json",
  ]);
});

test.skipIf(noBrowser !== undefined)("a server may call files what it likes, but must have them", async () => {
  const { name, calls } = cases[0]!;
  const wrong = { ".wasm": "text/plain", ".json": "text/html", ".safetensors": "" };
  const { answers } = await visit(browser!, "page", files, [{ bundle: name, build: "simd", calls }], wrong);
  expect(answers[0]!.results).toEqual(record[0]!.results);
  const without = new Map([...files].filter(([path]) => path !== `${name}/weights.safetensors`));
  await expect(visit(browser!, "page", without, [{ bundle: name, calls }])).rejects.toThrow(
    /BundleError: weights.safetensors: .*404/,
  );
});
