// Runs in a fresh Node: reads the files of a bundle, then loads it and asks it once. Prints milliseconds as JSON.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, inputs] = process.argv.slice(2);
const files = new Map(readdirSync(folder).map((name) => [name, new Uint8Array(readFileSync(join(folder, name)))]));
const arrays = { f32: Float32Array, i32: Int32Array };
const args = JSON.parse(inputs).map(({ dtype, size }) => new arrays[dtype](size));

const start = performance.now();
const { load } = await import(pathToFileURL(join(folder, "index.js")).href);
const program = await load({ files });
const loaded = performance.now();
program.run(...args);
const end = performance.now();
console.log(JSON.stringify({ load: loaded - start, answer: end - loaded, build: program.build }));
