/** Trains the classifier on one backend, step by step, and says how it went. */
import { compile, type Lowered, ready, spec, type Tensor, tensor } from "sinter";
import { Classifier } from "../digits/model.ts";
import { batches, type Digits, pixels } from "../digits/sets.ts";
import type { PageDigits } from "./digits.ts";

export type BackendName = "wasm" | "webgpu";

export const batchSize = 128;

/** Steps that are queued before the loss of the first of them has come back. */
const ahead = 8;

/** What is told while it trains. */
export interface Watcher {
  /** The first step is through: tracing, compiling and running it took so many milliseconds. */
  compiled(milliseconds: number): void;
  /** Losses so far, in order. Called after some steps, and after the last. */
  progress(losses: readonly number[], millisecondsPerStep: number): void;
  /** True stops it after the steps that are queued. */
  stopped(): boolean;
}

export interface Outcome {
  readonly losses: readonly number[];
  /** What the trained network takes each held-out image for. */
  readonly readings: Int32Array;
  /** The share of them that it reads rightly. */
  readonly accuracy: number;
  /** The training step as it was compiled. */
  readonly lowered: Lowered;
}

/**
 * Trains for `steps` batches from the weights that all runs begin with. A step's time is wall time over many of them:
 * with making the batch, its upload, and reading back each loss. Rejects where the backend cannot be used.
 */
export async function train(
  backend: BackendName,
  digits: PageDigits,
  steps: number,
  watcher: Watcher,
): Promise<Outcome> {
  await ready(backend);
  const model = new Classifier();
  try {
    return await trainModel(model, backend, digits, steps, watcher);
  } finally {
    model.dispose();
  }
}

async function trainModel(
  model: Classifier,
  backend: BackendName,
  { train: digits, test }: PageDigits,
  steps: number,
  watcher: Watcher,
): Promise<Outcome> {
  const step = model.compiledStep(backend);
  const losses: number[] = [];
  const coming: Promise<number>[] = [];
  let started = performance.now();
  let told = started;

  const tell = async (): Promise<void> => {
    const done = losses.length - 1;
    watcher.progress(losses, done > 0 ? (performance.now() - started) / done : 0);
    await nextTask();
    told = performance.now();
  };
  for (const batch of batchesOf(digits, steps)) {
    if (watcher.stopped()) break;
    coming.push(lossOf(step, batch));
    if (losses.length === 0) {
      losses.push(await coming.shift()!);
      watcher.compiled(performance.now() - started);
      await nextTask();
      started = performance.now();
    }
    if (coming.length > ahead) losses.push(await coming.shift()!);
    if (performance.now() - told > 100) await tell();
  }
  for (const loss of coming) losses.push(await loss);
  await tell();

  const readings = await read(model, backend, test);
  const right = readings.reduce((n, digit, i) => n + (digit === test.labels[i] ? 1 : 0), 0);
  const lowered = step.lower(spec([batchSize, pixels]), spec([batchSize], "i32"));
  return { losses, readings, accuracy: right / test.count, lowered };
}

/** Queues a step; resolves to the loss of the batch before the update. */
async function lossOf(step: ReturnType<Classifier["compiledStep"]>, batch: Digits): Promise<number> {
  using images = tensor(batch.images, { shape: [batch.count, pixels] });
  using labels = tensor(batch.labels);
  const { loss, accuracy } = step(images, labels);
  accuracy.dispose();
  try {
    return (await loss.data())[0]!;
  } finally {
    loss.dispose();
  }
}

async function read(model: Classifier, backend: BackendName, digits: Digits): Promise<Int32Array> {
  const classify = compile((images: Tensor) => model.logits(images).argMax(-1), { name: "classify", backend });
  using images = tensor(digits.images, { shape: [digits.count, pixels] });
  using found = classify(images);
  return Int32Array.from(await found.data());
}

function* batchesOf(digits: Digits, steps: number): Iterable<Digits> {
  let left = steps;
  for (let epoch = 0; left > 0; epoch++) {
    for (const batch of batches(digits, batchSize, epoch)) {
      if (left-- === 0) return;
      yield batch;
    }
  }
}

/** Lets the page draw and answer clicks. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
