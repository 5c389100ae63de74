// The headless browser that other tests use: it starts, obeys the policy of the page, and reaches nothing but this machine.
import { expect, test } from "vitest";
import { launchChromium, whyNoChromium } from "./chromium.ts";
import { serve } from "./server.ts";

const reason = whyNoChromium();
if (reason !== undefined) console.log(`No test runs in a browser: ${reason}.`);

test.skipIf(reason !== undefined)("a page runs under its policy, without a network", async () => {
  const script =
    "let evaluated = true; try { (0, eval)('1'); } catch { evaluated = false; }\n" +
    "const empty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);\n" +
    "const compiled = await WebAssembly.compile(empty).then(() => true, () => false);\n" +
    "const outside = await fetch('http://example.com/').then(() => true, () => false);\n" +
    "document.title = JSON.stringify({ evaluated, compiled, outside });\n";
  const files = new Map([
    ["index.html", '<!doctype html><title></title><script type="module" src="main.js"></script>'],
    ["main.js", script],
  ]);
  const server = await serve({ files });
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(`${server.url}index.html`);
    await page.waitForFunction(() => document.title !== "");
    expect(JSON.parse(await page.title())).toEqual({ evaluated: false, compiled: true, outside: false });
    expect(server.requests).toEqual(["index.html", "main.js"]);
    await expect(page.goto("http://example.com/")).rejects.toThrow("ERR_NAME_NOT_RESOLVED");
  } finally {
    await browser.close();
    await server.close();
  }
});
