// The page of what was compiled: complete, made of the user's text without ever being changed by it, and without a request.
import { describe, expect, test } from "vitest";
import { fullRun } from "../../../test/support/fuzz.ts";
import { deep, forGpu, newton, tiny, trainingStep } from "../../../test/support/inspected.ts";
import { page, readSources } from "../src/index.ts";
import { html, jsonForScript } from "../src/page/html.ts";

if (!fullRun) console.log("The page of a program of 1,000 operations is made by npm run test:full only.");

const sections = ["overview", "graph", "passes", "fusion", "kernels", "memory", "cost"];

function pageOf(lowered: Pick<ReturnType<typeof tiny>, "inspect">) {
  const inspection = lowered.inspect();
  return { inspection, text: page(inspection, readSources(inspection)) };
}

/** What the page's script is given. */
function dataOf(text: string) {
  const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(text)!;
  return JSON.parse(json!) as { readonly texts: Record<string, unknown>; readonly nodes: Record<string, unknown> };
}

function count(text: string, part: RegExp): number {
  return text.match(part)?.length ?? 0;
}

describe("text becomes HTML", () => {
  test("whatever is put into a template is escaped, lists are joined, nothing leaves nothing", () => {
    expect(html`<p title="${`"'`}">${["<b>", "&", 1, false, undefined]}</p>`.text).toBe(
      '<p title="&quot;&#39;">&lt;b&gt;&amp;1</p>',
    );
    expect(html`${html`<b>${"<"}</b>`}`.text).toBe("<b>&lt;</b>");
  });

  test("data in a script element can neither end it nor begin another", () => {
    const text = jsonForScript({ a: "</script><!--<script>" }).text;
    expect(text).not.toContain("<");
    expect(JSON.parse(text)).toEqual({ a: "</script><!--<script>" });
  });
});

describe("the page", () => {
  test("has all sections, and shows whatever the user wrote as text only", () => {
    const hostile = `</script><b onclick="x">&'</b>`;
    const inspection = tiny().inspect();
    const [first, ...rest] = inspection.nodes;
    const at = first!.locs[0]!;
    const line = { ...at, name: hostile };
    const text = page(
      {
        ...inspection,
        name: hostile,
        nodes: [{ ...first!, text: hostile, op: hostile, type: hostile, locs: [line] }, ...rest],
        kernels: inspection.kernels.map((kernel) => ({
          ...kernel,
          name: hostile,
          schedule: hostile,
          nest: hostile,
          locs: [line],
        })),
        passes: inspection.passes.map((pass) => ({ ...pass, text: hostile })),
        buffers: inspection.buffers.map((buffer) => ({ ...buffer, name: hostile })),
        decisions: [
          { fused: false, producer: hostile, consumer: hostile, reason: hostile, producerNodes: [], consumerNodes: [] },
        ],
      },
      new Map([[at.file, Array.from({ length: at.line + 3 }, () => hostile).join("\n")]]),
    );
    for (const id of sections) expect(text.includes(`<section id="${id}"`)).toBe(true);
    expect(text.includes("<b onclick")).toBe(false);
    expect(text.includes("&lt;/script&gt;&lt;b onclick=&quot;x&quot;&gt;&amp;&#39;&lt;/b&gt;")).toBe(true);
    expect(count(text, /<script/g)).toBe(2);
    expect(count(text, /<\/script>/g)).toBe(2);
  });

  test("asks for nothing: a policy without sources, and links within itself", () => {
    const { text } = pageOf(newton());
    expect(text).toContain("default-src 'none'");
    const addresses = [...text.matchAll(/\s(?:href|src|srcset|data|action)="([^"]*)"/g)].map(([, to]) => to!);
    expect(addresses.length).toBeGreaterThan(20);
    expect(addresses.filter((to) => !to.startsWith("#") && to !== "data:,")).toEqual([]);
    expect(text).not.toMatch(/@import|url\((?!#)/);
  });

  test("of a training step: each kernel with its lines, loops and WebAssembly; each decision; each buffer of the arena", () => {
    const { inspection, text } = pageOf(trainingStep());
    const { kernels, decisions, buffers, nodes } = inspection;
    const data = dataOf(text);
    for (const { index } of kernels) {
      expect(text).toContain(`id="kernel-${index}"`);
      for (const form of ["nest", "loops", "wat"]) expect(data.texts).toHaveProperty(`kernel-${index}-${form}`);
    }
    expect(count(text, /class="to"/g)).toBe(decisions.length);
    const inArena = buffers.filter((buffer) => buffer.place === "arena" && buffer.of === undefined).length;
    const scratch = kernels.reduce((n, kernel) => n + kernel.scratch.length, 0);
    expect(count(text, /<g class="mem /g)).toBe(inArena + scratch);
    expect(count(text, /class="dot k/g)).toBe(kernels.filter((kernel) => kernel.flops > 0).length);
    expect(Object.keys(data.nodes)).toHaveLength(nodes.length);
    expect(text).toMatch(/class="ln hit"[^>]*><i>34<\/i>/);
    expect(text).toContain("examples/digits/model.ts");
  });

  test("of a program on a GPU: WGSL beside the lines, dispatches, and nothing of WebAssembly", async () => {
    const { inspection, text } = pageOf(await forGpu(trainingStep()));
    const data = dataOf(text);
    for (const { index, wgsl } of inspection.kernels) {
      for (const form of ["nest", "loops", "wgsl"]) expect(data.texts).toHaveProperty(`kernel-${index}-${form}`);
      expect(wgsl).toContain("@compute");
    }
    expect(text).not.toContain("WebAssembly");
    expect(text).toContain("The dispatches");
    expect(String(data.texts["run"])).toContain(`dispatch ${inspection.kernels[0]!.name}: shader 0, `);
    expect(text).toContain(`<span>kernels, ${inspection.cost.dispatches} dispatches</span>`);
  });

  test("draws operations inside of the loop that they are in", () => {
    const { inspection, text } = pageOf(newton());
    const inside = inspection.nodes.filter((node) => node.path.includes("."));
    expect(inside.length).toBeGreaterThan(5);
    for (const { path } of inspection.nodes) expect(text.includes(`data-node="${path}"`)).toBe(true);
    expect(text).toContain("each round");
  });

  test("marks what a pass changed, and calls nothing a change that only counts values anew", () => {
    const { inspection } = pageOf(tiny());
    const [first, second, ...rest] = inspection.passes;
    const before = "graph @f(%x: f32[2]) {\n  %0 = neg %x : f32[2]\n  %1 = abs %x : f32[2]\n  return %1\n}\n";
    const after = "graph @f(%x: f32[2]) {\n  %0 = abs %x : f32[2]\n  return %0\n}\n";
    const changed = {
      ...inspection,
      passes: [{ ...first!, text: before }, { ...second!, text: after }, ...rest],
    };
    const text = page(changed, new Map());
    expect(text).toContain('<span class="plus">+0</span> <span class="minus">−1</span>');
    expect(text).toMatch(/class="dl del"><i>2<\/i><i><\/i><b>−\s+%0 = neg/);
  });

  test.runIf(fullRun)("of more than 1,000 operations draws kernels, and still describes every operation", () => {
    const { inspection, text } = pageOf(deep());
    expect(inspection.nodes.length).toBeGreaterThan(1000);
    expect(text).not.toContain('id="view-operations"');
    expect(count(text, /<g class="box kernel/g)).toBe(inspection.kernels.length);
    expect(Object.keys(dataOf(text).nodes)).toHaveLength(inspection.nodes.length);
    expect(text.length).toBeLessThan(12_000_000);
  });

  test("names the lines of sources that it cannot show", () => {
    const inspection = newton().inspect();
    const text = page(inspection, new Map());
    expect(text).toMatch(/inspected\.ts:\d+/);
  });
});

test("sources that cannot be read are left out: on other machines, of a server, not there", () => {
  const here = import.meta.filename;
  const files = ["file://elsewhere/a.ts", "http://localhost/b.ts", "nothing.ts", here, import.meta.url];
  const nodes = files.map((file) => ({ locs: [{ file, line: 1, column: 1 }] }));
  const found = readSources({ nodes } as unknown as Parameters<typeof readSources>[0]);
  expect([...found.keys()]).toEqual([here, import.meta.url]);
  expect(found.get(here)).toContain("sources that cannot be read");
});
