// A bundle for both targets in a page of headless Chromium that may run no script but its own and compile no WebAssembly
// where shaders run: it trains on the browser's WebGPU, and loads only what the target needs.
import { bundleFiles, type Tensor, tensor } from "sinter";
import { expect, test } from "vitest";
import { launchChromium, softwareWebgpu, whyNoChromium } from "../browser/chromium.ts";
import { serve } from "../browser/server.ts";
import { fullRun } from "../support/fuzz.ts";
import { SmallModel, smallBatch } from "../support/small-model.ts";

const why = whyNoChromium() ?? (fullRun ? undefined : "it is for the full run (SINTER_FULL=1)");
if (why !== undefined) console.log(`No bundle for WebGPU is tried in a browser: ${why}.`);

const script = (target: string): string => `
import { load } from "./bundle/index.js";
try {
  const program = await load(${target === "" ? "" : JSON.stringify({ target })});
  const { args } = await (await fetch("args.json")).json();
  const losses = await Promise.all([1, 2, 3].map(() => program.run(...args)));
  const { ok } = await program.selfTest();
  globalThis.answer = JSON.stringify({ target: program.target, ok, losses: losses.map(({ data }) => data[0]) });
} catch (error) {
  globalThis.answer = JSON.stringify({ error: String(error) });
}`;

test.runIf(why === undefined)("trains in a page under a strict policy, on WebGPU and in WebAssembly", async () => {
  const model = new SmallModel();
  const [x, y] = smallBatch(1) as [Tensor, Tensor];
  const files = await bundleFiles({ train: model.train }, { inputs: { train: [x, y] }, target: "both" } as {
    readonly target: "both";
  });
  const args = [x, y].map((each) => ({ shape: each.shape, data: [...each.dataSync()] }));
  const nested = args.map(({ shape, data }) => tensor(data, { shape: [...shape] }).arraySync());
  const wanted = [1, 2, 3].map(() => model.train(x, y).item());
  const browser = await launchChromium(softwareWebgpu);
  try {
    for (const target of ["webgpu", "wasm"] as const) {
      const server = await serve({
        files: new Map<string, string | Uint8Array>([
          ...[...files].map(([name, bytes]) => [`bundle/${name}`, bytes] as const),
          ["args.json", JSON.stringify({ args: nested })],
          ["index.html", '<!doctype html><title>Bundle</title><script type="module" src="page.js"></script>'],
          ["page.js", script(target === "webgpu" ? "" : target)],
        ]),
        policy: `default-src 'none'; script-src 'self'${target === "wasm" ? " 'wasm-unsafe-eval'" : ""}; connect-src 'self'`,
      });
      const page = await browser.newPage();
      try {
        await page.goto(`${server.url}index.html`);
        const handle = await page.waitForFunction(() => (globalThis as { answer?: string }).answer);
        const answer = JSON.parse((await handle.jsonValue()) ?? "") as { losses: number[]; error?: string };
        expect(answer).toMatchObject({ target, ok: true });
        for (const [i, loss] of wanted.entries()) expect(answer.losses[i]).toBeCloseTo(Number(loss), 5);
        const has = (name: string): boolean => server.requests.includes(`bundle/${name}`);
        const isGpu = target === "webgpu";
        expect(["webgpu.js", "kernels.wgsl", "dispatch.json"].map(has)).toEqual([isGpu, isGpu, isGpu]);
        expect(has("program.relaxed.wasm")).toBe(!isGpu);
      } finally {
        await page.close();
        await server.close();
      }
    }
  } finally {
    await browser.close();
  }
});
