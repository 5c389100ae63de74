/**
 * Bundles a page with each bundler and opens it in a browser: it trains on both backends, and one that asks for no GPU
 * loads nothing of what is there for GPUs.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Browser } from "playwright-core";
import { launchChromium, softwareWebgpu, whyNoChromium } from "../test/browser/chromium.ts";
import { serve } from "../test/browser/server.ts";
import { bundleIn, webBundlers } from "./bundle-web.ts";

/** Prints the loss after some steps of gradient descent on the backend that its address names. */
const page = `import { compile, gradients, ready, tensor, variable } from "sinter";

const backend = new URLSearchParams(location.search).get("backend");
try {
  await ready(backend);
  const w = variable([0, 0], { name: "w" });
  const step = compile(
    (x, y) => {
      const { value, grads } = gradients(() => x.matmul(w).sub(y).square().mean(), [w]);
      w.assignSub(grads[0].mul(0.1));
      return value;
    },
    { backend },
  );
  let loss;
  for (let i = 0; i < 20; i++) loss = step(tensor([[1, 0], [0, 1], [1, 1], [2, 1]]), tensor([2, 3, 5, 7]));
  document.title = (await loss.data())[0].toFixed(5);
} catch (error) {
  document.title = String(error);
}
`;

/** What only code for GPUs holds. */
const forGpus = "@workgroup_size";

/** `folder` has the package installed. Gives what was checked, in words. */
export async function checkWeb(folder: string): Promise<string> {
  writeFileSync(join(folder, "web.js"), page);
  const names = Object.keys(webBundlers);
  for (const name of names) await webBundlers[name]!.build(bundleIn(folder, name));
  const reason = whyNoChromium();
  if (reason !== undefined) return `${names.join(", ")} bundle for browsers; their bundles did not run: ${reason}`;
  const browser = await launchChromium(softwareWebgpu);
  try {
    for (const name of names) await checkBundle(browser, folder, name);
  } finally {
    await browser.close();
  }
  return `${names.join(", ")} bundle for browsers: both backends agree, and nothing for GPUs is loaded without need`;
}

async function checkBundle(browser: Browser, folder: string, name: string): Promise<void> {
  const { outDir } = bundleIn(folder, name);
  const files = new Map<string, string | Uint8Array>([
    ["index.html", `<!doctype html><title></title>${webBundlers[name]!.script}`],
  ]);
  for (const { name: file, parentPath } of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
    const path = join(parentPath, file);
    if (file.endsWith(".js")) files.set(relative(outDir, path).replaceAll("\\", "/"), readFileSync(path));
  }
  const server = await serve({ files });
  try {
    const losses: string[] = [];
    for (const backend of ["wasm", "webgpu"]) {
      const tab = await browser.newPage();
      await tab.goto(`${server.url}index.html?backend=${backend}`);
      await tab.waitForFunction(() => document.title !== "", undefined, { timeout: 60_000 });
      losses.push(await tab.title());
      await tab.close();
      const loaded = server.requests.splice(0).filter((path) => files.get(path)?.toString().includes(forGpus));
      if (loaded.length > 0 !== (backend === "webgpu"))
        throw new Error(`${name}: a page that runs on ${backend} loads ${loaded.join() || "nothing for GPUs"}`);
    }
    const [onCpu, onGpu] = losses.map(Number);
    if (!(onCpu! < 1 && Math.abs(onCpu! - onGpu!) < 1e-4)) throw new Error(`${name}: the pages give ${losses.join()}`);
  } finally {
    await server.close();
  }
}
