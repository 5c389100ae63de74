// Models that are saved and loaded: what comes back computes the same bits, trains on as if nothing had happened, can be
// differentiated, batched, made part of other functions and saved again.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "@sinter/runtime";
import {
  assert,
  bundleFiles,
  type CompiledFunction,
  compile,
  customVjp,
  gradients,
  loadBundle,
  loadModel,
  modelToFiles,
  ones,
  print,
  random,
  saveModel,
  scan,
  setPrintSink,
  spec,
  stack,
  type Tensor,
  tensor,
  type Variable,
  variable,
  vmap,
  withEager,
} from "sinter";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SmallModel, smallBatch } from "./support/small-model.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sinter-model-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Fn = CompiledFunction<readonly Tensor[], Tensor>;
const batch = [spec([8, 4]), spec([8, 2])] as const;
const smallInputs = { predict: [batch[0]], loss: [...batch], train: [...batch] };
/** A model of functions that were called once. */
const reload = async <M extends object>(model: M) => loadModel<M>(modelToFiles(model));

describe("training", () => {
  test("goes on after loading with the bits it would have had", async () => {
    const model = new SmallModel();
    for (let i = 0; i < 3; i++) model.train(...smallBatch(i));
    await saveModel(model, join(folder, "trained"), { inputs: smallInputs });
    const loaded = await loadModel<SmallModel>(join(folder, "trained"));
    for (let i = 3; i < 6; i++) {
      const [x, y] = smallBatch(i);
      expect(loaded.train(x, y).dataSync()).toEqual(model.train(x, y).dataSync());
    }
    const [x] = smallBatch(9);
    expect(loaded.predict(x).dataSync()).toEqual(model.predict(x).dataSync());
    expect(loaded.layers[1]!.b.square.dataSync()).toEqual(model.layers[1]!.b.square.dataSync());
    expect(loaded.steps.item()).toBe(6);
  });

  test("the saved folder is a bundle too", async () => {
    const model = new SmallModel();
    const program = await loadBundle(modelToFiles(model, { inputs: smallInputs }));
    expect(await program.selfTest()).toMatchObject({ ok: true, calls: 4 });
    expect(Object.keys(program.functions)).toEqual(["predict", "loss", "train"]);
    expect(Object.keys(program.variables).slice(0, 2)).toEqual(["layers.0.w.value", "layers.0.w.mean"]);
  });

  test("a loaded function is differentiated as the saved one", async () => {
    const model = new SmallModel();
    const loaded = await loadModel<SmallModel>(modelToFiles(model, { inputs: smallInputs }));
    const [x, y] = smallBatch(1);
    const weights = (of: SmallModel): Variable[] => of.layers.flatMap(({ w, b }) => [w.value, b.value]);
    const compiledGrads = (of: SmallModel) => compile(() => gradients(() => of.loss(x, y), weights(of)).grads)();
    expect(compiledGrads(loaded).map((g) => g.dataSync())).toEqual(compiledGrads(model).map((g) => g.dataSync()));
    const { grads } = gradients(() => loaded.predict(x).sub(y).square().mean(), loaded.trainableVariables);
    expect(grads).toHaveLength(loaded.trainableVariables.length);
    expect(grads.every((g) => g.abs().sum().item() !== 0)).toBe(true);
  });

  test("and made part of others, batched, and run eagerly", async () => {
    const model = new SmallModel();
    const loaded = await loadModel<SmallModel>(modelToFiles(model, { inputs: smallInputs }));
    const [x] = smallBatch(1);
    const [other] = smallBatch(2);
    const expected = model.predict(x).mul(2).dataSync();
    expect(compile((v: Tensor) => loaded.predict(v).mul(2))(x).dataSync()).toEqual(expected);
    expect(
      withEager(() => loaded.predict(x))
        .mul(2)
        .dataSync(),
    ).toEqual(expected);
    const many = vmap((v: Tensor) => loaded.predict(v))(stack([x, other]));
    expect(many.at(1).sub(model.predict(other)).abs().max().item()).toBeLessThan(1e-5);
    const step = compile((v: Tensor, w: Tensor) => loaded.train(v, w).add(loaded.train(v, w)));
    const [a, b] = smallBatch(3);
    const sum = model.train(a, b).add(model.train(a, b));
    expect(step(a, b).sub(sum).abs().item()).toBeLessThan(1e-6);
    expect(loaded.steps.item()).toBe(2);
  });

  test("saved again, and exported, it is the same", async () => {
    const first = modelToFiles(new SmallModel(), { inputs: smallInputs });
    const loaded = await loadModel<SmallModel>(first);
    const second = modelToFiles(loaded);
    const third = modelToFiles(await loadModel<SmallModel>(second));
    expect(third).toEqual(second);
    for (const name of ["weights.safetensors", "model.json", "index.d.ts"])
      expect(second.get(name), name).toEqual(first.get(name));
    const program = await loadBundle(bundleFiles(loaded.predict));
    const [x] = smallBatch(1);
    expect((program.run(x.dataSync()) as { data: unknown }).data).toEqual(loaded.predict(x).dataSync());
  });
});

describe("what a model may hold", () => {
  test("nested objects, arrays, what is there twice, captured tensors, random generators, variables of closures", async () => {
    const table = random.normal(random.key(5), [10, 3]);
    const hidden = variable(ones([3]), { name: "hidden" });
    const source = new random.Generator(3);
    const shared = variable(tensor([1, 2, 3]));
    const scale = compile((x: Tensor) => x.mul(shared).add(table.at(2)).mul(hidden), { signature: [spec([3])] });
    const draw = compile(() => source.normal([4]));
    const model = {
      heads: [{ scale, w: shared }, null, { again: shared, f: scale }],
      source,
      draw,
      note: "text",
      n: 3,
    };
    const loaded = await reload(model);
    const [head, gap, last] = loaded.heads as [{ scale: Fn; w: Variable }, unknown, { again: Variable; f: Fn }];
    expect(gap).toBeUndefined();
    expect(last.again).toBe(head.w);
    expect(last.f).toBe(head.scale);
    expect(loaded).not.toHaveProperty("note");
    expect(loaded.variables.map((v) => v.name).sort()).toEqual(["heads.0.w", "hidden", "source.state"]);
    const x = tensor([1, 1, 1]);
    expect(head.scale(x).dataSync()).toEqual(scale(x).dataSync());
    head.w.assign([0, 0, 0]);
    expect(shared.dataSync()).toEqual(Float32Array.of(1, 2, 3));
    for (let i = 0; i < 3; i++) expect(loaded.draw().dataSync()).toEqual(draw().dataSync());
  });

  test("large constants, regions, derivatives of one's own, checks and prints", async () => {
    const clipped = customVjp(
      (x: Tensor) => x.clip(0, 1),
      (x: Tensor) => [x.clip(0, 1), x] as const,
      (_: Tensor, ct: Tensor) => [ct.mul(5)],
    );
    const w = variable(tensor([2, 3]), { name: "w" });
    const big = Array.from({ length: 70 }, (_, i) => i);
    const f = compile((x: Tensor) => {
      assert(x.gt(-1).all(), "x must be above -1");
      print("x {}", x);
      const [c] = scan((carry: Tensor, row: Tensor) => [carry.mul(0.5).add(row), null], x, ones([3, 2]));
      return clipped(c.mul(w)).sum().add(tensor(big).sum());
    });
    const x = tensor([1, 2]);
    const sink = setPrintSink(() => {});
    try {
      f(x);
      const loaded = await reload({ f, w });
      expect(loaded.f(x).dataSync()).toEqual(f(x).dataSync());
      const slope = (g: Fn, v: Variable) => gradients(() => g(x), [v]).grads[0]!.dataSync();
      expect(slope(loaded.f as Fn, loaded.w)).toEqual(slope(f as Fn, w));
      const bad = tensor([1, -2]);
      expect(() => loaded.f(bad)).toThrow("x must be above -1");
      const both = compile((a: Tensor, b: Tensor) => {
        assert(a.lt(5).all(), "a must be small");
        return loaded.f(a).add(loaded.f(b));
      });
      expect(() => both(x, bad)).toThrow("x must be above -1");
      expect(() => both(tensor([9, 9]), bad)).toThrow("a must be small");
      const shown: string[] = [];
      setPrintSink((text) => void shown.push(text));
      both(x, x);
      expect(shown).toEqual(["x [1, 2]", "x [1, 2]"]);
    } finally {
      setPrintSink(sink);
    }
  });

  test("static arguments, dtypes, fastMath", async () => {
    const f = compile((a: { x: Tensor; mode: string }, n: number) => [a.x.mul(n), a.x.cast("bool"), a.mode], {
      fastMath: true,
    });
    f({ x: tensor([1, 2], { dtype: "i32" }), mode: "up" }, -0);
    const loaded = await reload({ f });
    const x = tensor([3, 0], { dtype: "i32" });
    expect(JSON.stringify(loaded.f({ x, mode: "up" }, -0))).toBe(JSON.stringify(f({ x, mode: "up" }, -0)));
    expect(() => loaded.f({ x, mode: "down" }, -0)).toThrow(
      'f was saved for [{"mode": "up", "x": i32[2]}, -0], and is called with [{"mode": "down", "x": i32[2]}, -0]',
    );
  });
});

describe("errors", () => {
  test("of saving", async () => {
    const many = compile((x: Tensor) => x.add(1), { name: "many" });
    many(tensor([1]));
    many(tensor([1, 2]));
    expect(() => modelToFiles({ many })).toThrow("was traced for 2 signatures: say which with inputs");
    expect(() => modelToFiles({ many }, { inputs: { none: [] } })).toThrow(
      "inputs.none: there is no function of this name",
    );
    expect(() => modelToFiles({ w: variable(1) })).toThrow("there is no compiled function in the model");
    expect(() => modelToFiles(many)).toThrow("model must be an object");
    await expect(saveModel({ many }, "", {})).rejects.toThrow("dir must be the path of a folder");
  });

  test("of loading: no graphs, altered files", async () => {
    const f = compile((x: Tensor) => x.add(1), { signature: [spec([2])] });
    await expect(loadModel(bundleFiles(f))).rejects.toThrow(
      "there are no graphs in this bundle: it was written by exportBundle",
    );
    const files = modelToFiles({ f });
    for (const name of ["model.json", "manifest.json", [...files.keys()].find((file) => file.endsWith(".ir"))!]) {
      const altered = new Map(files);
      altered.set(
        name,
        files.get(name)!.map((byte, i) => (i === 100 ? byte ^ 1 : byte)),
      );
      await expect(loadModel(altered), name).rejects.toThrow(name);
      altered.delete(name);
      await expect(loadModel(altered), name).rejects.toThrow(name);
    }
    // A checksum does not make sense of a path that leads nowhere.
    const [body] = new TextDecoder().decode(files.get("model.json")).replaceAll('"f"', '"g"').split(' "crc32"');
    const sum = crc32(new TextEncoder().encode(body!));
    const other = new Map(files).set("model.json", new TextEncoder().encode(`${body} "crc32": "${sum}"\n}\n`));
    await expect(loadModel(other)).rejects.toThrow("model.json has the function g, which the bundle does not have");
    await expect(loadModel(join(folder, "nothing"))).rejects.toThrow("manifest.json");
  });
});

test("a saved model is loaded by another process", async () => {
  const model = new SmallModel();
  await saveModel(model, join(folder, "apart"), { inputs: smallInputs });
  const script = join(folder, "apart.mjs");
  writeFileSync(
    script,
    `import { loadModel, ones } from ${JSON.stringify(import.meta.resolve("sinter"))};
const model = await loadModel(${JSON.stringify(join(folder, "apart"))});
console.log([...model.predict(ones([8, 4])).dataSync()].join());`,
  );
  const printed = execFileSync(process.execPath, [script], { encoding: "utf8" });
  expect(printed.trim()).toBe([...model.predict(ones([8, 4])).dataSync()].join());
});
