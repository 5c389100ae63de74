/** Trains a classifier of handwritten digits and shows what the compiler made of its training step. */
import { join, relative } from "node:path";
import { SingleBar } from "cli-progress";
import { tensor, withEager } from "sinter";
import { TypedArrayMlp } from "../../bench/reference/mlp-typedarray.ts";
import { batches, type Digits, loadDigits, pixels } from "./data.ts";
import { adam, Classifier, initialWeights, layerSizes } from "./model.ts";
import { explain, writeDump } from "./report.ts";

const batchSize = 128;
const epochs = Number(process.env["SINTER_EPOCHS"] ?? 10);

const { train, test } = loadDigits();
console.log(
  `Digits: ${train.count} images to train on, ${test.count} held out; network ${layerSizes.join("-")}, batches of ${batchSize}.\n`,
);

const model = new Classifier();
const step = model.compiledStep();
const [first] = batches(train, batchSize, 0);
explain(step.lower(...inputs(first!)));

const { stepsPerSecond, milliseconds } = trainAll();
const dump = join(import.meta.dirname, "dump");
writeDump(dump, step.lower(...inputs(first!)));

compareSpeed(milliseconds);
console.log(`IR dump:        ${relative(process.cwd(), dump)} (one file per stage, from the trace to the WebAssembly)`);
console.log(`steps/s:        ${stepsPerSecond.toFixed(0)}`);
console.log(`test accuracy ${(accuracyOf(test) * 100).toFixed(2)}%`);

function inputs(digits: Digits) {
  return [tensor(digits.images, { shape: [digits.count, pixels] }), tensor(digits.labels)] as const;
}

function trainAll(): { stepsPerSecond: number; milliseconds: number } {
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
      spent += performance.now() - start;
      done++;
      bar.update(done, {
        epoch: epoch + 1,
        loss: Number(loss.item()).toFixed(3),
        accuracy: `${(Number(accuracy.item()) * 100).toFixed(0)}%`,
        rate: ((done / spent) * 1000).toFixed(0),
      });
      loss.dispose();
      accuracy.dispose();
    }
  }
  bar.stop();
  return { stepsPerSecond: (done / spent) * 1000, milliseconds: spent / done };
}

function accuracyOf(digits: Digits): number {
  const score = model.compiledScore();
  const [images, labels] = inputs(digits);
  return Number(score(images, labels).accuracy.item());
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
