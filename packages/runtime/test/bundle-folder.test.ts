// Bundles as folders: written whole or not at all, loaded from files and from a server, typed for who imports them.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { replaceFolder, writeFolder } from "../src/bundle/folder.ts";
import type { LoadOptions, Program, ResultTensor } from "../src/bundle/loader/index.ts";
import { loadBundle, openBundle } from "../src/bundle/open.ts";
import { writeBundle } from "../src/bundle/write.ts";
import { exampleSpec } from "./support/bundles.ts";

const files = writeBundle(exampleSpec());
const newer = writeBundle(exampleSpec({ name: "newer", recorded: [] }));
let root: string;
beforeAll(() => {
  root = fs.mkdtempSync(join(tmpdir(), "sinter-bundle-"));
});
afterAll(() => fs.rmSync(root, { recursive: true }));

function read(folder: string): Map<string, Uint8Array> {
  const names = fs.readdirSync(folder, { recursive: true, encoding: "utf8" });
  const plain = names.filter((name) => fs.statSync(join(folder, name)).isFile()).sort();
  return new Map(plain.map((name) => [name, new Uint8Array(fs.readFileSync(join(folder, name)))]));
}

interface Module {
  load(options?: LoadOptions): Promise<Program>;
}

describe("writing", () => {
  test("a folder, an empty one, one with a bundle; what is no bundle stays", async () => {
    const folder = join(root, "deep/one");
    await writeFolder(files, folder);
    expect(read(folder)).toEqual(files);
    await writeFolder(newer, folder);
    expect(read(folder)).toEqual(newer);
    expect(fs.readdirSync(dirname(folder))).toEqual(["one"]);
    const empty = join(root, "empty");
    fs.mkdirSync(empty);
    await writeFolder(files, empty);
    expect(read(empty)).toEqual(files);
    const other = join(root, "other");
    fs.mkdirSync(other);
    fs.writeFileSync(join(other, "thesis.txt"), "words");
    await expect(writeFolder(files, other)).rejects.toThrow("is there already and is no bundle");
    await expect(writeFolder(files, join(other, "thesis.txt"))).rejects.toThrow("is no bundle");
    expect(fs.readdirSync(other)).toEqual(["thesis.txt"]);
    fs.writeFileSync(join(folder, "notes.txt"), "words");
    await expect(writeFolder(files, folder)).rejects.toThrow("holds notes.txt beside a bundle");
    fs.rmSync(join(folder, "notes.txt"));
    expect(read(folder)).toEqual(newer);
    const model = new Map([...files, ["model.json", new Uint8Array(1)], ["graph/f.ir", new Uint8Array(1)]]);
    await writeFolder(model, folder);
    await expect(writeFolder(files, folder)).rejects.toThrow("holds graph, model.json beside a bundle");
    await writeFolder(model, folder);
    expect(read(folder)).toEqual(model);
    await expect(writeFolder(new Map([["../x", new Uint8Array(1)]]), join(root, "new"))).rejects.toThrow("no name");
    expect(fs.readdirSync(root).sort()).toEqual(["deep", "empty", "other"]);
  });

  test("functions whose names begin with $, with their graphs", async () => {
    const { functions, ...spec } = exampleSpec({ graphs: true, recorded: [] });
    const [predict, ...others] = functions;
    const folder = join(root, "dollar");
    const made = writeBundle({ ...spec, functions: [{ ...predict!, name: "$predict" }, ...others] });
    await writeFolder(made, folder);
    expect((await (await openBundle(folder)).graph("$predict")).params.map(({ name }) => name)).toEqual(
      predict!.graph.params.map(({ name }) => name),
    );
  });

  test("wherever it is interrupted, the old bundle or the new one is whole", () => {
    for (let stop = 1; ; stop++) {
      const folder = join(root, `stopped-${stop}`);
      fs.mkdirSync(folder);
      replaceFolder(fs, files, folder);
      let calls = 0;
      // Whatever comes behind the call that stops does not happen, as when the machine stops.
      const stopping = new Proxy(fs, {
        get(target, name: keyof typeof fs) {
          const method = target[name] as (...args: unknown[]) => unknown;
          return (...args: unknown[]): unknown => {
            if (++calls >= stop) throw new Error("stopped");
            return method(...args);
          };
        },
      });
      let finished = false;
      try {
        replaceFolder(stopping, newer, folder);
        finished = true;
      } catch (error) {
        expect((error as Error).message).toBe("stopped");
      }
      const [there, old] = [folder, `${folder}.sinter-old`].map((path) =>
        fs.existsSync(path) ? read(path) : undefined,
      );
      const whole = there?.size === newer.size ? newer : files;
      if (there !== undefined) expect(there).toEqual(whole);
      else expect(old).toEqual(files);
      replaceFolder(fs, newer, folder);
      expect(read(folder)).toEqual(newer);
      if (finished) break;
    }
  });

  test("a failure that is not the end of everything leaves nothing behind", () => {
    const folder = join(root, "full");
    replaceFolder(fs, files, folder);
    let renames = 0;
    const failing = {
      ...fs,
      renameSync: (from: fs.PathLike, to: fs.PathLike) => {
        if (++renames === 2) throw new Error("disk full");
        fs.renameSync(from, to);
      },
    };
    expect(() => replaceFolder(failing, newer, folder)).toThrow("disk full");
    expect(read(folder)).toEqual(files);
    expect(fs.readdirSync(root).filter((name) => name.startsWith("full"))).toEqual(["full"]);
  });
});

describe("loading", () => {
  const x = Float32Array.of(1, 0, 0, 0, 1, 0);
  const options = { bias: [0.5, 0.25] };
  let folder: string;
  beforeAll(async () => {
    folder = join(root, "loaded");
    await writeFolder(files, folder);
  });

  test("by the bundle's own loader, from files", async () => {
    const { load, ...rest } = (await import(pathToFileURL(join(folder, "index.js")).href)) as Module;
    expect(Object.keys(rest).sort()).toEqual(["AssertionError", "BundleError"]);
    const program = await load();
    const { y } = program.run(x, options) as { y: ResultTensor };
    expect(y.data).toEqual(Float32Array.of(11.5, 22.25, 13.5, 24.25));
    expect(await program.selfTest()).toMatchObject({ ok: true, tensors: 6 });
    const other = join(root, "other-place");
    await writeFolder(newer, other);
    expect((await load({ base: pathToFileURL(other) })).name).toBe("newer");
    expect((await load({ files: newer })).name).toBe("newer");
    await expect(load({ base: pathToFileURL(join(root, "nowhere")) })).rejects.toThrow("manifest.json: cannot be read");
  });

  test("by the library, from a path or a URL", async () => {
    expect((await loadBundle(folder)).name).toBe("example");
    expect((await loadBundle(`${pathToFileURL(folder)}/`)).name).toBe("example");
    expect((await loadBundle(join(folder, "manifest.json"))).name).toBe("example");
    expect((await loadBundle(pathToFileURL(join(folder, "manifest.json")))).name).toBe("example");
    await expect(loadBundle(join(root, "nowhere"))).rejects.toThrow(
      /^manifest.json: cannot be read from file:.*: ENOENT/,
    );
  });

  test.each(["application/wasm", "text/plain"])("from a server that sends modules as %s", async (type) => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      const name = request.url!.slice(1);
      asked.push(name);
      const bytes = files.get(name);
      if (bytes === undefined) response.writeHead(404).end();
      else response.writeHead(200, { "content-type": name.endsWith(".wasm") ? type : "text/plain" }).end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const program = await loadBundle(base, { build: "simd" });
      expect((program.run(x, options) as { y: ResultTensor }).y.shape).toEqual([2, 2]);
      expect(asked.sort()).toEqual(["manifest.json", "program.wasm", "weights.safetensors"]);
      expect(await program.selfTest()).toMatchObject({ ok: true, rule: "tolerance" });
      await expect(loadBundle(`${base}/nowhere`)).rejects.toThrow(
        "manifest.json: cannot be read from http://127.0.0.1",
      );
    } finally {
      server.close();
    }
    await expect(loadBundle("http://127.0.0.1:1/")).rejects.toThrow(
      "manifest.json: cannot be read from http://127.0.0.1:1/manifest.json: ",
    );
  });
});

test("the declarations say what fits", () => {
  const folder = join(root, "typed");
  replaceFolder(fs, files, folder);
  const use = `
    import { load, type Functions, BundleError, AssertionError } from "./index.js";
    const program = await load({ build: "simd", log: (text) => console.log(text) });
    const x = new Float32Array(6);
    const { y, parts } = program.run(x, { bias: [1, 2] });
    const data: Float32Array = y.data;
    const shape: readonly [2, 2] = y.shape;
    const total: readonly [] = parts[0].shape;
    const truth: true = parts[3];
    program.run([[1, 2, 3], [4, 5, 6]], { bias: new Float32Array(2), mode: "fast", scale: -0 });
    program.run({ data: x, shape: [2, 3] }, { bias: { data: new Float32Array(2) } });
    program.functions.step(2);
    const bits: Uint8Array = program.functions.swap([true, false, 1])[0].data;
    const counted: Int32Array = program.variables.n.read();
    program.variables.w.write([[1, 2], [3, 4], [5, 6]]);
    const report = await program.selfTest("step");
    const ok: boolean = report.ok;
    program.loadState(program.saveState());
    const f: Functions["shown"] = program.functions.shown;
    console.log(data, shape, total, truth, bits, counted, ok, f, BundleError, AssertionError);
    // @ts-expect-error an array of another type
    program.run(new Float64Array(6), { bias: [1, 2] });
    // @ts-expect-error nested otherwise
    program.run([1, 2, 3], { bias: [1, 2] });
    // @ts-expect-error missing
    program.run(x);
    // @ts-expect-error another value than at the export
    program.run(x, { bias: [1, 2], mode: "slow" });
    // @ts-expect-error no such function
    program.functions.other(1);
    // @ts-expect-error no number
    program.functions.step("2");
    // @ts-expect-error another length
    const wrong: readonly [3] = y.shape;
    // @ts-expect-error no such build
    await load({ build: "gpu" });
    console.log(wrong);
  `;
  fs.writeFileSync(join(folder, "use.ts"), use);
  const require = createRequire(import.meta.url);
  const compiler = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
  const flags = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom",
    "--types",
    "",
  ];
  fs.writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const result = spawnSync(process.execPath, [compiler, ...flags, "use.ts"], { cwd: folder, encoding: "utf8" });
  expect(result.stdout).toBe("");
  expect(result.status).toBe(0);
});
