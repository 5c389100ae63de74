// The built example in a browser: the classifier of digits learns alike on both backends, each training step on the GPU is
// one submit, and where there is no WebGPU the page says so in a sentence. Leaves pictures under node_modules/.cache.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fullRun } from "../support/fuzz.ts";
import { launchChromium, softwareWebgpu, whyNoChromium } from "./chromium.ts";
import { type StaticServer, serve, strictPolicy } from "./server.ts";

const reason = whyNoChromium();
if (reason !== undefined) console.log(`The example page is opened in no browser: ${reason}.`);
if (!fullRun) console.log("The example page is built and opened by npm run test:full only.");

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const outDir = join(root, ".tmp", "page");
const pictures = join(root, "node_modules", ".cache", "sinter-page");
const steps = 10;

/** What the page asks of the device, counted in it. */
interface Counts {
  /** Of each submit that computes the dispatches in it. */
  readonly computing: number[];
  /** Submits that only copy. */
  copying: number;
}

/** Runs in the page before its own scripts. */
function countSubmits(): void {
  const counts: Counts = { computing: [], copying: 0 };
  const encoderOf = new WeakMap<GPUComputePassEncoder, GPUCommandEncoder>();
  /** By encoder, then by what it finishes with. */
  const dispatches = new WeakMap<object, number>();
  const { beginComputePass, finish } = GPUCommandEncoder.prototype;
  const { dispatchWorkgroups } = GPUComputePassEncoder.prototype;
  const { submit } = GPUQueue.prototype;
  GPUCommandEncoder.prototype.beginComputePass = function (descriptor) {
    const pass = beginComputePass.call(this, descriptor);
    encoderOf.set(pass, this);
    return pass;
  };
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (x, y, z) {
    const encoder = encoderOf.get(this)!;
    dispatches.set(encoder, (dispatches.get(encoder) ?? 0) + 1);
    return dispatchWorkgroups.call(this, x, y, z);
  };
  GPUCommandEncoder.prototype.finish = function (descriptor) {
    const commands = finish.call(this, descriptor);
    dispatches.set(commands, dispatches.get(this) ?? 0);
    return commands;
  };
  GPUQueue.prototype.submit = function (buffers) {
    const list = [...buffers];
    const sum = list.reduce((n, one) => n + dispatches.get(one)!, 0);
    if (sum > 0) counts.computing.push(sum);
    else counts.copying++;
    return submit.call(this, list);
  };
  Object.assign(globalThis, { submitCounts: counts });
}

describe.skipIf(reason !== undefined || !fullRun)("the example page", () => {
  let server: StaticServer;
  let browser: Browser;
  beforeAll(async () => {
    mkdirSync(pictures, { recursive: true });
    buildPage();
    server = await serve({
      files: filesUnder(outDir),
      policy: `${strictPolicy}; style-src 'self'; img-src data:`,
    });
    browser = await launchChromium(softwareWebgpu);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  /** Opens the page; what goes wrong in it goes into `troubles`. */
  async function open(before: () => void): Promise<{ page: Page; troubles: string[] }> {
    const page = await browser.newPage({
      viewport: { width: 1280, height: 900 },
      colorScheme: "light",
      locale: "en-US",
    });
    const troubles: string[] = [];
    page.on("console", (message) => troubles.push(`console ${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
    await page.addInitScript(before);
    server.requests.length = 0;
    await page.goto(`${server.url}index.html`);
    return { page, troubles };
  }

  async function train(page: Page): Promise<void> {
    await page.fill("#steps", String(steps));
    await page.click("#start");
    await page.waitForFunction(() => document.querySelector("#start")?.textContent === "Train", undefined, {
      timeout: 120_000,
    });
    expect(await page.textContent("#status")).toBe("Done");
  }

  /** The columns of the table of losses, by their heads. */
  async function lossesOf(page: Page): Promise<Record<string, number[]>> {
    const rows = await page.$$eval("#table tr", (all) =>
      all.map((row) => [...row.children].map((cell) => cell.textContent ?? "")),
    );
    const [head, ...body] = rows;
    return Object.fromEntries(head!.map((name, column) => [name, body.map((cells) => Number(cells[column]))]));
  }

  const asksForCompiler = (): string[] => server.requests.filter((path) => path.includes("webgpu"));

  test("trains alike on both backends, with one submit for each step", async () => {
    const { page, troubles } = await open(countSubmits);
    await train(page);

    const { step, WebAssembly: wasm, WebGPU: webgpu } = await lossesOf(page);
    expect(step).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
    expect(wasm!.at(-1)).toBeLessThan(wasm![0]! / 2);
    for (const [i, loss] of webgpu!.entries()) expect(Math.abs(loss - wasm![i]!), `step ${i + 1}`).toBeLessThan(1e-4);

    // Each step and the reading of the held-out digits is a call; each loss is copied to be read, and so are the digits.
    const counts = await page.evaluate(() => (globalThis as unknown as { submitCounts: Counts }).submitCounts);
    const card = (name: string) => page.innerText(`#card-${name}`);
    const perStep = Number(/(\d+) dispatches/.exec(await card("webgpu"))?.[1]);
    expect(counts.computing).toHaveLength(steps + 1);
    expect(new Set(counts.computing.slice(0, steps))).toEqual(new Set([perStep]));
    expect(counts.copying).toBe(steps + 1);

    const accuracy = /read rightly\s+(\d+\.\d)%/;
    const [onCpu, onGpu] = [await card("wasm"), await card("webgpu")].map((text) => Number(accuracy.exec(text)?.[1]));
    expect(onCpu).toBeGreaterThan(50);
    expect(Math.abs(onCpu! - onGpu!)).toBeLessThan(1);
    expect(await card("webgpu")).toContain("swiftshader (software)");
    expect(asksForCompiler()).toHaveLength(1);

    await page.click("#programs summary");
    await page.selectOption("#programs select", "wgsl");
    await expect.poll(() => page.textContent("#programs pre")).toContain("@workgroup_size");
    await page.screenshot({ path: join(pictures, "desktop.png"), fullPage: true });
    await page.setViewportSize({ width: 390, height: 844 });
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    await page.screenshot({ path: join(pictures, "phone.png"), fullPage: true });
    expect(troubles).toEqual([]);
    await page.close();
  });

  test("without WebGPU says so in a sentence, trains on the other backend, and stops when it is told to", async () => {
    const { page, troubles } = await open(() => {
      Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined });
    });
    await page.uncheck("input[value=webgpu]");
    await train(page);
    expect(asksForCompiler()).toEqual([]);

    await page.check("input[value=webgpu]");
    await train(page);
    const text = await page.innerText("#card-webgpu .remark");
    expect(text).toMatch(/^WebGPU cannot be used: [^\n]*\.$/);
    expect(text).toContain("no navigator.gpu");
    expect(Object.keys(await lossesOf(page))).toEqual(["step", "WebAssembly"]);

    await page.fill("#steps", "2000");
    await page.click("#start");
    await page.waitForFunction(() => Number(document.querySelector("#card-wasm .loss")?.textContent) < 1);
    await page.click("#start");
    await expect.poll(() => page.textContent("#status")).toBe("Stopped");
    expect((await lossesOf(page))["step"]!.length).toBeLessThan(2000);
    await page.screenshot({ path: join(pictures, "without-webgpu.png"), fullPage: true });
    expect(troubles).toEqual([]);
    await page.close();
  });
});

/** As `npm run examples:page` does. */
function buildPage(): void {
  const vite = join(dirname(createRequire(import.meta.url).resolve("vite/package.json")), "bin", "vite.js");
  const { VITEST, NODE_ENV, ...env } = process.env;
  const args = [vite, "build", "examples/page", "--outDir", outDir, "--emptyOutDir", "--logLevel", "warn"];
  const built = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", env });
  expect(built).toMatchObject({ status: 0, stderr: "" });
}

function filesUnder(folder: string): Map<string, Uint8Array> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [relative(folder, path).split(sep).join("/"), readFileSync(path)];
    }),
  );
}
