// A bundler that watches: when the type of something imported changes, what imports it is transformed anew and rightly.
import { afterAll, expect, test, vi } from "vitest";
import { plugin } from "../../packages/autograph/src/host/plugin.ts";
import { patience, testProject } from "../support/built-package.ts";

vi.setConfig({ testTimeout: patience, hookTimeout: patience });

const mask = (type: string): string => `export interface Options {\n  readonly mask: ${type};\n}\n`;
const plain = mask("boolean");
const staged = `import type { Tensor } from "sinter";\n${mask("Tensor")}`;
const main = `import { tensor } from "sinter";
import type { Options } from "./options.ts";

export function pick(options: Options) {
  let y = tensor(1);
  if (options.mask) y = tensor(2);
  return y;
}
`;
const app = testProject({ "src/main.ts": main, "src/options.ts": plain });
afterAll(() => app.remove());

/** Calls the plugin's hooks as a bundler does. */
function session() {
  const hooks = plugin("rollup")({ root: app.folder, checks: false, tags: false }) as unknown as {
    transform: { handler: (code: string, id: string) => Promise<{ code: string } | null> };
    watchChange: (id: string, change: { event: string }) => void;
  };
  const watched: string[] = [];
  const context = { addWatchFile: (file: string) => watched.push(file), warn: () => {}, error: () => {} };
  return {
    watched,
    transform: async () => (await hooks.transform.handler.call(context, main, app.path("src/main.ts")))?.code,
    change(text: string) {
      app.write("src/options.ts", text);
      hooks.watchChange.call(context, app.path("src/options.ts"), { event: "update" });
    },
  };
}

test("a changed type of an imported file changes what its importer becomes, there and back", async () => {
  const { watched, transform, change } = session();
  expect((await transform()) ?? main).not.toContain("$ag.if_(");
  expect(watched).toContain(app.path("src/options.ts"));
  change(staged);
  expect(await transform()).toContain("$ag.if_(");
  change(plain);
  expect((await transform()) ?? main).not.toContain("$ag.if_(");
  change(staged.replace("Tensor;", "Tensor | undefined;"));
  expect((await transform()) ?? main).not.toContain("$ag.if_(");
});
