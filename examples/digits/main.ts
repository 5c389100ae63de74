/** Trains a classifier of handwritten digits and shows what the compiler made of its training step. */
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { SingleBar } from "cli-progress";
import { ready, tensor, withEager } from "sinter";
import { TypedArrayMlp } from "../../bench/reference/mlp-typedarray.ts";
import { batches, type Digits, loadDigits, pixels } from "./data.ts";
import { adam, Classifier, initialWeights, layerSizes } from "./model.ts";
import { explain, writeDump } from "./report.ts";

const { backend } = parseArgs({ options: { backend: { type: "string", default: "wasm" } } }).values;
if (backend !== "wasm" && backend !== "webgpu") {
  console.error(`--backend is wasm or webgpu, not ${backend}`);
  process.exit(1);
}
const where: "wasm" | "webgpu" = backend;
await ready(where);

const batchSize = 128;
const epochs = Number(process.env["SINTER_EPOCHS"] ?? 10);

const { train, test } = loadDigits();
console.log(
  `Digits: ${train.count} images to train on, ${test.count} held out; network ${layerSizes.join("-")}, batches of ${batchSize}.\n`,
);

const model = new Classifier();
const step = model.compiledStep(where);
const [first] = batches(train, batchSize, 0);
if (backend === "wasm") explain(step.lower(...inputs(first!)));

const { stepsPerSecond, milliseconds } = await trainAll();
if (backend === "wasm") {
  const dump = join(import.meta.dirname, "dump");
  writeDump(dump, step.lower(...inputs(first!)));
  compareSpeed(milliseconds);
  console.log(
    `IR dump:        ${relative(process.cwd(), dump)} (one file per stage, from the trace to the WebAssembly)`,
  );
}
console.log(`steps/s:        ${stepsPerSecond.toFixed(0)}`);
console.log(`test accuracy ${((await accuracyOf(test)) * 100).toFixed(2)}%`);

function inputs(digits: Digits) {
  return [tensor(digits.images, { shape: [digits.count, pixels] }), tensor(digits.labels)] as const;
}

async function trainAll(): Promise<{ stepsPerSecond: number; milliseconds: number }> {
  const perEpoch = Math.floor(train.count / batchSize);
  const bar = new SingleBar({
    format:
      "training {bar} {value}/{total} steps | epoch {epoch}/{epochs} | loss {loss} | accuracy {accuracy} | {rate} steps/s",
    noTTYOutput: true,
    notTTYSchedule: 2000,
    hideCursor: true,
  });
  bar.start(perEpoch * epochs, 0, { epoch: 1, epochs, loss: "", accuracy: "", rate: "" });
  let spent = 0;
  let done = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const batch of batches(train, batchSize, epoch)) {
      using images = tensor(batch.images, { shape: [batch.count, pixels] });
      using labels = tensor(batch.labels);
      const start = performance.now();
      const { loss, accuracy } = step(images, labels);
      const [[lossNow], [accuracyNow]] = await Promise.all([loss.data(), accuracy.data()]);
      spent += performance.now() - start;
      done++;
      bar.update(done, {
        epoch: epoch + 1,
        loss: lossNow!.toFixed(3),
        accuracy: `${(accuracyNow! * 100).toFixed(0)}%`,
        rate: ((done / spent) * 1000).toFixed(0),
      });
      loss.dispose();
      accuracy.dispose();
    }
  }
  bar.stop();
  return { stepsPerSecond: (done / spent) * 1000, milliseconds: spent / done };
}

async function accuracyOf(digits: Digits): Promise<number> {
  const score = model.compiledScore(where);
  const [images, labels] = inputs(digits);
  return (await score(images, labels).accuracy.data())[0]!;
}

/** The same step in two other ways, for a few rounds each. */
function compareSpeed(compiled: number): void {
  const [images, labels] = inputs(first!);
  const other = new Classifier();
  const eager = medianOf(5, () => {
    withEager(() => {
      const { loss, accuracy } = other.step(images, labels);
      loss.item();
      accuracy.item();
    });
  });
  const layers = initialWeights().map((l) => ({ ...l, bias: new Float32Array(l.outputs) }));
  const plain = new TypedArrayMlp(layers, batchSize, adam);
  const loops = medianOf(5, () => plain.step(first!.images, first!.labels));
  const line = (name: string, ms: number): string =>
    `  ${name.padEnd(30)} ${ms.toFixed(2).padStart(8)} ms${ms === compiled ? "" : `   compiled is ${(ms / compiled).toFixed(1)} times faster`}`;
  console.log("\nOne training step takes");
  console.log(line("compiled", compiled));
  console.log(line("eager, op by op", eager));
  console.log(`${line("plain loops on typed arrays", loops)}\n`);
}

function medianOf(rounds: number, run: () => void): number {
  run();
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[rounds >> 1]!;
}
