/** The example's data and training step: the split is what it says, and the step learns as plain loops do. */
import { ready, tensor } from "sinter";
import { expect, test } from "vitest";
import { TypedArrayMlp } from "../bench/reference/mlp-typedarray.ts";
import { batches, type Digits, heldOut, loadDigits, pixels } from "../examples/digits/data.ts";
import { adam, Classifier, initialWeights } from "../examples/digits/model.ts";
import { fullRun } from "./support/fuzz.ts";
import { gpuMachine } from "./support/gpu.ts";

const split = loadDigits();

test("the digits are split into two disjoint parts", () => {
  expect(split.test.count).toBe(heldOut);
  expect(split.train.count).toBe(10000 - heldOut);
  const both = new Set([...split.trainIndices, ...split.testIndices]);
  expect(both.size).toBe(10000);
  expect(Math.min(...both)).toBe(0);
  expect(Math.max(...both)).toBe(9999);
});

test("the split is the same each time", () => {
  expect(loadDigits().testIndices).toEqual(split.testIndices);
});

test("no held-out image is also one to train on", () => {
  const image = (digits: Digits, i: number): string => digits.images.subarray(i * pixels, (i + 1) * pixels).join();
  const train = new Set(Array.from({ length: split.train.count }, (_, i) => image(split.train, i)));
  const repeated = Array.from({ length: split.test.count }, (_, i) => i).filter((i) => train.has(image(split.test, i)));
  expect(repeated).toEqual([]);
});

const machine = await gpuMachine("Training steps of the digits on WebGPU");
if (machine !== undefined) await ready("webgpu");

/** Runs some training steps on a backend, and as plain loops beside them; the losses agree, and fall. */
async function train(backend: "wasm" | "webgpu", steps: number): Promise<void> {
  const size = 32;
  const model = new Classifier();
  const step = model.compiledStep(backend);
  const layers = initialWeights().map((l) => ({ ...l, bias: new Float32Array(l.outputs) }));
  const plain = new TypedArrayMlp(layers, size, adam);
  const losses: number[] = [];
  for (const batch of batches(split.train, size, 0)) {
    if (losses.length === steps) break;
    const { loss } = step(tensor(batch.images, { shape: [size, pixels] }), tensor(batch.labels));
    losses.push((await loss.data())[0]!);
    expect(losses.at(-1)).toBeCloseTo(plain.step(batch.images, batch.labels), 3);
  }
  expect(step.traces).toBe(1);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * (steps < 20 ? 0.8 : 0.5));
}

test("twenty compiled steps agree with plain loops, and learn", () => train("wasm", 20));

test.skipIf(machine === undefined)("on WebGPU too", () => train("webgpu", fullRun ? 20 : 10));
