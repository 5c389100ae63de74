// `npm run bench`: Sinter beside its peers and the machine's own limits, every result checked before it is timed.
// README.md in this folder says how the numbers come about.
import { cpus } from "node:os";
import { cases } from "./cases/index.ts";
import { type Bench, runBench, unknownNames } from "./harness/bench.ts";
import { parseOptions, usage } from "./harness/options.ts";

const bench: Bench = { cases, peers: ["jax-js", "tfjs-wasm", "onnxruntime-web"] };

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === "help") {
    console.log(usage);
    return 0;
  }
  const unknown = unknownNames(options, bench);
  if (unknown !== undefined) {
    console.error(unknown);
    return 2;
  }
  const processor = cpus()[0]?.model ?? "unknown processor";
  const head = `Node ${process.version}, V8 ${process.versions.v8}, ${processor}, one thread`;
  return await runBench(options, bench, head);
}

process.exitCode = await main();
