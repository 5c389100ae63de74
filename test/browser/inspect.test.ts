// The page of what was compiled, opened from a folder as people open it: nothing is asked for, nothing is wrong, sections
// and drawings answer to keys and clicks. Leaves a picture of each section under .tmp/inspect.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { page as pageOf, readSources } from "../../packages/inspect/src/index.ts";
import { fullRun } from "../support/fuzz.ts";
import { deep, forGpu, newton, tiny, trainingStep } from "../support/inspected.ts";
import { launchChromium, whyNoChromium } from "./chromium.ts";

const reason = whyNoChromium();
if (reason !== undefined) console.log(`The page of what was compiled is opened in no browser: ${reason}.`);

if (!fullRun) console.log("The page of a program of 1,000 operations is opened by npm run test:full only.");

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = join(root, ".tmp", "inspect");
const sections = ["overview", "graph", "passes", "fusion", "kernels", "memory", "cost"];

describe.skipIf(reason !== undefined)("the page in a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    mkdirSync(folder, { recursive: true });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
  });

  /** Opens the page of a program; what goes wrong and what is asked for goes into `troubles`. */
  async function open(
    name: string,
    lowered: Pick<ReturnType<typeof tiny>, "inspect">,
    scheme: "light" | "dark" = "light",
  ) {
    const inspection = lowered.inspect();
    const file = join(folder, `${name}.html`);
    writeFileSync(file, pageOf(inspection, readSources(inspection)));
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 }, colorScheme: scheme });
    const troubles: string[] = [];
    const url = pathToFileURL(file).href;
    page.on("console", (message) => troubles.push(`console ${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
    page.on("request", (request) => {
      const asked = request.url();
      if (!asked.startsWith(url) && asked !== "data:,") troubles.push(`request: ${asked}`);
    });
    await page.goto(url);
    await page.waitForSelector(".ready");
    return { page, troubles, inspection };
  }

  const shownSection = (page: Page): Promise<string[]> =>
    page.$$eval("main > section", (all) => all.filter((one) => !(one as HTMLElement).hidden).map((one) => one.id));

  /** Goes through the sections by their keys and takes a picture of each. */
  async function visit(page: Page, name: string): Promise<void> {
    for (const [i, id] of sections.entries()) {
      await page.keyboard.press(String(i + 1));
      await expect.poll(() => shownSection(page), { timeout: 10_000 }).toEqual([id]);
      expect(await page.$$eval("nav a[aria-current]", (all) => all.map((a) => a.getAttribute("href")))).toEqual([
        `#${id}`,
      ]);
      await page.screenshot({ path: join(folder, `${name}-${i + 1}-${id}.png`) });
    }
  }

  test("of a tiny program: all sections by their keys, and both schemes of colours", async () => {
    const { page, troubles } = await open("tiny", tiny(), "dark");
    await visit(page, "tiny");
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await background();
    await page.keyboard.press("t");
    expect(await background()).not.toBe(dark);
    expect(troubles).toEqual([]);
    await page.close();
  });

  test("of a loop: a click on an operation tells of it, from inside the loop too", async () => {
    const { page, troubles, inspection } = await open("newton", newton());
    await visit(page, "newton");
    const inside = inspection.nodes.find((node) => node.path.includes(".") && node.op === "div")!;
    await page.keyboard.press("2");
    await expect.poll(() => shownSection(page), { timeout: 10_000 }).toEqual(["graph"]);
    await page.locator(`[id="node-${inside.path}"]`).click({ position: { x: 5, y: 5 } });
    const detail = page.locator("#detail");
    await expect.poll(() => detail.locator("h3").textContent()).toBe("div");
    expect(await detail.textContent()).toContain("f32[64]");
    expect(await detail.locator(".ln.hit").first().textContent()).toContain("x.div(guess)");
    expect(await page.$$eval(".chosen", (all) => all.map((one) => one.id))).toEqual([`node-${inside.path}`]);
    await page.screenshot({ path: join(folder, "newton-chosen.png") });
    await detail.locator("a.chip").first().click();
    await expect.poll(() => shownSection(page), { timeout: 10_000 }).toEqual(["kernels"]);
    expect(troubles).toEqual([]);
    await page.close();
  });

  test("of a training step: kernels show their forms, drawings move and grow, links lead to nodes", async () => {
    const { page, troubles, inspection } = await open("digits", trainingStep());
    await visit(page, "digits");
    await page.evaluate(() => {
      location.hash = "kernel-3";
    });
    await expect.poll(() => page.locator("#kernel-3").getAttribute("open")).toBe("");
    const form = (name: string) => page.locator(`#kernel-3-${name} pre`);
    expect(await form("nest").textContent()).toContain(`kernel ${inspection.kernels[3]!.name}`);
    await page.locator("#tab-kernel-3-wat").click();
    expect(await form("wat").textContent()).toBe(inspection.kernels[3]!.wat);
    await page.locator("#tab-kernel-3-wat").press("ArrowLeft");
    expect(await form("loops").isVisible()).toBe(true);
    expect(await form("wat").isVisible()).toBe(false);
    await page.screenshot({ path: join(folder, "digits-kernel.png") });

    await page.keyboard.press("2");
    const drawing = page.locator("#view-kernels svg");
    const box = () => drawing.getAttribute("viewBox");
    const before = await box();
    await page.locator("[data-zoom=in]").click();
    const larger = await box();
    expect(larger).not.toBe(before);
    await page.mouse.move(500, 700);
    await page.mouse.down();
    await page.mouse.move(560, 660, { steps: 4 });
    await page.mouse.up();
    expect(await box()).not.toBe(larger);
    await page.locator("#tab-view-operations").click();
    await page.screenshot({ path: join(folder, "digits-operations.png") });

    await page.keyboard.press("4");
    await page.locator("#fusion a.node-link").first().click();
    await expect.poll(() => shownSection(page), { timeout: 10_000 }).toEqual(["graph"]);
    await expect.poll(() => page.locator("#detail").isVisible()).toBe(true);
    expect(troubles).toEqual([]);
    await page.close();
  });

  test("of a training step on a GPU: WGSL beside the lines that it computes", async () => {
    const { page, troubles, inspection } = await open("gpu", await forGpu(trainingStep()));
    if (fullRun) await visit(page, "gpu");
    const product = inspection.kernels.find((kernel) => kernel.name.includes("dot"))!;
    const kernel = `kernel-${product.index}`;
    await page.evaluate((id) => {
      location.hash = id;
    }, kernel);
    await expect.poll(() => page.locator(`#${kernel}`).getAttribute("open")).toBe("");
    await page.locator(`#tab-${kernel}-wgsl`).click();
    expect(await page.locator(`#${kernel}-wgsl pre`).textContent()).toBe(product.wgsl);
    expect(await page.locator(`#${kernel} .ln.hit`).allTextContents()).toContainEqual(
      expect.stringMatching(/layer|matmul/i),
    );
    await page.screenshot({ path: join(folder, "gpu-kernel.png") });
    expect(troubles).toEqual([]);
    await page.close();
  });

  test.runIf(fullRun)("of a large program: opens, and draws its kernels", async () => {
    const { page, troubles, inspection } = await open("deep", deep());
    await visit(page, "deep");
    expect(await page.locator("g.box.kernel").count()).toBe(inspection.kernels.length);
    await page.keyboard.press("2");
    await page.locator("g.box.kernel").first().click();
    await expect.poll(() => page.locator("#detail h3").textContent()).toMatch(/^\d+ /);
    expect(troubles).toEqual([]);
    await page.close();
  });
});
