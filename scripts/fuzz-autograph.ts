// `npm run fuzz:autograph [-- --programs 2000 --seed 1 --gradients]`: random structured programs as JavaScript, transformed eager and
// transformed compiled. Exits with an error where any differ; prints what fails, shrunk, and what the transform refuses.
import { parseArgs } from "node:util";
import { Autograph } from "@sinter/autograph";
import { fuzz } from "../test/autograph/fuzz.ts";

const { values } = parseArgs({
  options: {
    programs: { type: "string", default: "2000" },
    inputs: { type: "string", default: "3" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    failures: { type: "string", default: "5" },
    gradients: { type: "boolean", default: false },
    mode: { type: "string", default: "types" },
  },
});
const seed = Number(values.seed);
console.log(`seed ${seed}`);
const autograph = new Autograph({ mode: values.mode === "syntax" ? "syntax" : "types" });
const { programs, calls, refused, failures } = fuzz(autograph, {
  seed,
  programs: Number(values.programs),
  inputs: Number(values.inputs),
  gradients: values.gradients,
  comparisons: values.mode !== "syntax",
  failures: Number(values.failures),
  report: (text) => console.log(`\n${text}`),
  progress: (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${done}`);
    else if (done % 200 === 0) console.log(`${done} programs`);
  },
});
autograph.dispose();
console.log(
  `\n${programs} programs, ${calls} calls: ${failures.length} different, ${refused.length} refused by the transform`,
);
process.exitCode = failures.length === 0 ? 0 : 1;
