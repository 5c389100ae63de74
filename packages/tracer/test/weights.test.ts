// Values of variables in files: what is in them, what comes back, and what a file that does not fit is told.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dataOf, readSafetensors } from "@sinter/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import { compile, loadWeights, saveWeights, tensor, variable, weightsToBytes } from "../src/index.ts";

await programsOnWebgpu("Weights");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sinter-weights-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

class Layer {
  w;
  b;
  /** No variable: not in the file. */
  readonly scale = tensor([2]);
  readonly name = "layer";
  constructor(n: number) {
    this.w = variable(tensor(Array.from({ length: n * 2 }, (_, i) => i)).reshape([n, 2]));
    this.b = variable(tensor([true, false]));
  }
}
const model = () => ({ layers: [new Layer(1), new Layer(2)], step: variable(tensor(7, { dtype: "i32" })) });
const file = (name: string): string => join(folder, name);
const namesIn = (path: string): string[] => [...readSafetensors(readFileSync(path)).tensors.keys()].sort();

describe("saveWeights", () => {
  test("names are paths of attributes, contents those of the variables", async () => {
    await saveWeights(model(), file("model.safetensors"));
    const { tensors, metadata } = readSafetensors(readFileSync(file("model.safetensors")));
    expect([...tensors.keys()].sort()).toEqual(["layers.0.b", "layers.0.w", "layers.1.b", "layers.1.w", "step"]);
    expect(tensors.get("layers.1.w")).toMatchObject({ dtype: "f32", shape: [2, 2] });
    expect([...dataOf(tensors.get("layers.1.w")!)]).toEqual([0, 1, 2, 3]);
    expect([...dataOf(tensors.get("layers.0.b")!)]).toEqual([1, 0]);
    expect(metadata.get("format")).toBe("sinter");
  });

  test("takes arrays and objects of variables; a variable that is there twice has its first name", async () => {
    const w = variable([1, 2]);
    await saveWeights([w, variable(3)], file("array.safetensors"));
    expect(namesIn(file("array.safetensors"))).toEqual(["0", "1"]);
    await saveWeights({ a: { w }, b: [w] }, file("twice.safetensors"));
    expect(namesIn(file("twice.safetensors"))).toEqual(["a.w"]);
  });

  test("replaces a file as a whole and leaves no other behind", async () => {
    await saveWeights({ w: variable([1]) }, file("again.safetensors"));
    await saveWeights({ w: variable([2]) }, file("again.safetensors"));
    expect([...dataOf(readSafetensors(readFileSync(file("again.safetensors"))).tensors.get("w")!)]).toEqual([2]);
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("the same values are the same bytes", () => {
    expect(weightsToBytes(model())).toEqual(weightsToBytes(model()));
  });

  test("what is no model is an error", async () => {
    const w = variable([1]);
    await expect(saveWeights(w, file("x"))).rejects.toThrow("model must be an object with compiled functions");
    await expect(saveWeights({}, file("x"))).rejects.toThrow("there are no variables in the model");
    await expect(saveWeights({ w }, file("array.safetensors/x"))).rejects.toThrow("cannot be written: E");
    w.dispose();
    await expect(saveWeights({ w }, file("x"))).rejects.toThrow("has been disposed");
    expect(readdirSync(folder)).not.toContain("x");
  });
});

describe("loadWeights", () => {
  test("sets the variables, and programs that use them need no new trace", async () => {
    const from = { w: variable([1, 2]), b: variable(3) };
    const to = { w: variable([0, 0]), b: variable(0) };
    const f = compile((x: typeof from.w) => x.mul(to.w).add(to.b));
    f(from.w);
    await saveWeights(from, file("plain.safetensors"));
    expect(await loadWeights(to, file("plain.safetensors"))).toEqual({ missing: [], extra: [] });
    expect([...f(from.w).dataSync()]).toEqual([4, 7]);
    expect(f.traces).toBe(1);
    await loadWeights(to, weightsToBytes({ w: variable([9, 9]), b: variable(0) }));
    expect([...to.w.dataSync()]).toEqual([9, 9]);
  });

  test("lists all that does not fit, and changes nothing", async () => {
    const bytes = weightsToBytes({
      a: variable([1, 2]),
      b: variable([[1]]),
      d: variable(tensor([1], { dtype: "i32" })),
    });
    const target = { a: variable([5, 6]), b: variable([1, 2]), c: variable(0), d: variable([1]) };
    const failure = loadWeights(target, bytes);
    await expect(failure).rejects.toThrow(
      [
        "loadWeights: the bytes cannot be loaded; nothing was changed",
        "  c is missing in the file",
        "  b is f32[2] in the model, f32[1,1] in the file",
        "  d is f32[1] in the model, i32[1] in the file",
      ].join("\n"),
    );
    expect([...target.a.dataSync()]).toEqual([5, 6]);
    await expect(loadWeights({ a: target.a }, bytes)).rejects.toThrow("b is in the file, but not in the model");
  });

  test("strict: false takes what is there and says what is not", async () => {
    const bytes = weightsToBytes({ a: variable([1, 2]), x: variable(1) });
    const target = { a: variable([0, 0]), b: variable(4) };
    expect(await loadWeights(target, bytes, { strict: false })).toEqual({ missing: ["b"], extra: ["x"] });
    expect([...target.a.dataSync()]).toEqual([1, 2]);
    expect(target.b.item()).toBe(4);
  });

  test("a file that is none says so by its name", async () => {
    writeFileSync(file("broken.safetensors"), "not a file");
    await expect(loadWeights({ w: variable(1) }, file("broken.safetensors"))).rejects.toThrow(
      /broken\.safetensors: the header/,
    );
    await expect(
      loadWeights({ w: variable(1) }, file("broken.safetensors"), { strickt: true } as object),
    ).rejects.toThrow("there is no option strickt");
  });
});
