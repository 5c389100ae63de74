// `npm run bench:gpu`: Sinter on WebGPU beside the WebGPU backends of its peers and the limits of the GPU, every result
// checked before it is timed. On an adapter in software results are checked and no speed is stated.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { useSwiftShader, whyNoSwiftShader } from "../../test/support/swiftshader.ts";
import { type Bench, runBench, unknownNames } from "../harness/bench.ts";
import type { Facts } from "../harness/job.ts";
import { names, type Options } from "../harness/options.ts";
import { PeerProcess } from "../harness/peer-process.ts";
import { fullScale, gpuCases, gpuPeers, smallScale } from "./cases.ts";

const peerFolder = "gpu/peers";
/** Read by adapter.ts in the peers' processes. */
const flagsVariable = "SINTER_BENCH_DAWN";

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
  const flags = [values.adapter, values.backend].map((value, i) => value && `${["adapter", "backend"][i]}=${value}`);
  process.env[flagsVariable] = flags.filter(Boolean).join();
  if (values.software) useSwiftShader();

  const adapter = await findAdapter();
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

/** What there is; without a GPU, SwiftShader, where it can run. A string says why there is nothing. */
async function findAdapter(): Promise<Facts | string> {
  const own = await askForAdapter();
  if (typeof own !== "string") return own;
  console.log(`No GPU was found: ${own}`);
  const reason = whyNoSwiftShader();
  if (reason !== undefined) return `Nothing can be checked either: ${reason}`;
  console.log("Results are checked on SwiftShader.");
  delete process.env["VK_ICD_FILENAMES"];
  process.env[flagsVariable] = "";
  useSwiftShader();
  return await askForAdapter();
}

async function askForAdapter(): Promise<Facts | string> {
  const peer = new PeerProcess("floors", peerFolder);
  try {
    const resultFile = join(tmpdir(), `sinter-bench-adapter-${process.pid}`);
    const reply = await peer.ask({ type: "check", job: { kind: "adapter" }, resultFile });
    if (reply.type === "checked") return reply.facts;
    return "reason" in reply ? reply.reason : reply.type;
  } finally {
    await peer.stop();
  }
}

function headOf(adapter: Facts): string {
  const has = ["timestamps", "subgroups", "f16"].map((name) => `${name} ${adapter[name] === 1 ? "yes" : "no"}`);
  return `${adapter["name"]}\n${has.join(", ")}; Node ${process.version}, Dawn through the package webgpu`;
}

process.exitCode = await main();
