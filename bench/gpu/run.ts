// `npm run bench:gpu`: Sinter on WebGPU beside the WebGPU backends of its peers and the limits of the GPU, every result
// checked before it is timed. On an adapter in software results are checked and no speed is stated.
import { parseArgs } from "node:util";
import { type Bench, runBench, unknownNames } from "../harness/bench.ts";
import { names, type Options } from "../harness/options.ts";
import { fullScale, gpuCases, gpuPeers, smallScale } from "./cases.ts";
import { chooseAdapter, headOf, peerFolder } from "./choose-adapter.ts";

const usage = `npm run bench:gpu -- [flags]
  --only a,b      cases to run (default: all)
  --peers a,b     peers to compare Sinter with (default: all)
  --sizes a,b     sizes of the matrix products
  --quick         few rounds
  --check-only    check results against the float64 reference and time nothing
  --json file     write every sample to a file
  --adapter name  the GPU whose name has this in it (default: the one the system prefers for speed)
  --backend name  vulkan, d3d12, metal, ... (default: the system's)
  --software      check on SwiftShader, whatever GPU there is`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      peers: { type: "string" },
      sizes: { type: "string" },
      quick: { type: "boolean", default: false },
      "check-only": { type: "boolean", default: false },
      json: { type: "string" },
      adapter: { type: "string" },
      backend: { type: "string" },
      software: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const adapter = await chooseAdapter(values);
  if (typeof adapter === "string") {
    console.error(adapter);
    return 1;
  }
  const isSoftware = adapter["software"] === 1;
  const scale = isSoftware ? smallScale : fullScale;
  const sizes = values.sizes === undefined ? scale.matmul : names(values.sizes).map(Number);
  if (!sizes.every((size) => Number.isInteger(size) && size > 0)) {
    console.error(`--sizes is a list of positive integers, not ${values.sizes}`);
    return 2;
  }
  const options: Options = {
    quick: values.quick,
    checkOnly: values["check-only"] || isSoftware,
    only: names(values.only),
    peers: values.peers === undefined ? undefined : names(values.peers),
    accuracy: false,
    ulp: false,
    json: values.json,
  };
  const bench: Bench = { cases: gpuCases({ ...scale, matmul: sizes }), peers: gpuPeers, peerFolder };
  const unknown = unknownNames(options, bench);
  if (unknown !== undefined) {
    console.error(unknown);
    return 2;
  }
  const code = await runBench(options, bench, headOf(adapter));
  if (isSoftware) console.log("No speed is stated: this adapter computes on the processor, not on a GPU.");
  return code;
}

process.exitCode = await main();
