/**
 * Trains a classifier of handwritten digits for a moment, and exports it together with its training step: one folder, which
 * `use.mjs` beside this file runs without Sinter. `node examples/export/main.ts [folder] [--target wasm|webgpu|both]`
 */
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { compile, exportBundle, spec, type Tensor, tensor } from "sinter";
import { batches, loadDigits, pixels } from "../digits/data.ts";
import { Classifier } from "../digits/model.ts";

const batchSize = 128;
const steps = 30;
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { target: { type: "string", default: "wasm" } },
});
const outDir = positionals[0] ?? join(import.meta.dirname, "dump");

const model = new Classifier();
const learn = model.compiledStep();
let step = 0;
for (const { images, labels } of batches(loadDigits().train, batchSize, 0)) {
  learn(tensor(images, { shape: [batchSize, pixels] }), tensor(labels));
  if (++step === steps) break;
}

const classify = compile(
  function classify(image: Tensor) {
    const scores = model.logits(image.reshape([1, pixels]));
    return { digit: scores.argMax(-1).at(0), probabilities: scores.softmax(-1).at(0) };
  },
  { signature: [spec([pixels])] },
);

// What `learn` takes is known: it has been called. The two share the network's weights in the bundle, too.
const { files } = await exportBundle(
  { classify, learn },
  { outDir, target: values.target as "wasm" | "webgpu" | "both" },
);
console.log(`${relative(process.cwd(), outDir)}:`);
for (const [name, bytes] of files)
  console.log(`  ${name.padEnd(22)} ${(bytes.length / 1000).toFixed(1).padStart(7)} kB`);
