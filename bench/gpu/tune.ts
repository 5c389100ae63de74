// `npm run bench:gpu:tune`: what matrix products cost for every tile that a group of threads can work on, and for sums cut
// in parts, beside what the schedule chooses by itself. Every result is checked first.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { names } from "../harness/options.ts";
import { chooseAdapter, headOf } from "./choose-adapter.ts";
import type { TuneRequest, TuneShape } from "./tune-worker.ts";

const usage = `npm run bench:gpu:tune -- [flags]
  --shapes a,b    products: 1024 or MxKxN, with nn, tn or nt behind it where an operand lies transposed, as in
                  256x128x784tn (default: those of the bench and of its training step)
  --tiles a,b     tiles: ROWSxCOLUMNSxDEPTH/ROW VECTORSxCOLUMN VECTORS, as in 64x64x16/1x1 (default: all that can be)
  --adapter name  the GPU whose name has this in it
  --backend name  vulkan, d3d12, metal, ...
  --software      check on SwiftShader, whatever GPU there is`;

const usualShapes = "512,1024,2048,4096,128x784x256,784x128x256tn,128x10x128nt,1024x784x256";
/** What an adapter in software is asked for. */
const smallShapes = "128,65x130x70,33x100x64tn,40x64x36nt";

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      shapes: { type: "string" },
      tiles: { type: "string" },
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
  const given = values.shapes === undefined ? undefined : names(values.shapes).map(parseShape);
  const tiles = values.tiles === undefined ? undefined : names(values.tiles).map(parseTile);
  const adapter = await chooseAdapter(values);
  if (typeof adapter === "string") {
    console.error(adapter);
    return 1;
  }
  const isSoftware = adapter["software"] === 1;
  const shapes = given ?? names(isSoftware ? smallShapes : usualShapes).map(parseShape);
  console.log(headOf(adapter));
  const code = await runWorker({ shapes, tiles, timed: !isSoftware });
  if (isSoftware) console.log("No speed is stated: this adapter computes on the processor, not on a GPU.");
  return code;
}

function parseShape(text: string): TuneShape {
  const found = /^(\d+)(?:x(\d+)x(\d+))?(nn|tn|nt)?$/.exec(text);
  if (found === null) throw new Error(`--shapes: ${text} is not of the form 1024 or 128x784x256tn`);
  const [, m, k = m, n = m, layout = "nn"] = found;
  return { m: Number(m), k: Number(k), n: Number(n), layout: layout as TuneShape["layout"] };
}

function parseTile(text: string): NonNullable<TuneRequest["tiles"]>[number] {
  const found = /^(\d+)x(\d+)x(\d+)\/(\d+)x(\d+)$/.exec(text);
  if (found === null) throw new Error(`--tiles: ${text} is not of the form 64x64x16/1x1`);
  const [rows, columns, depth, rowVectors, columnVectors] = found.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { rows, columns, depth, rowVectors, columnVectors };
}

/** In a process of its own, whose environment names the driver. */
function runWorker(request: TuneRequest): Promise<number> {
  return new Promise((resolve) => {
    const worker = fork(fileURLToPath(new URL("./tune-worker.ts", import.meta.url)), { stdio: "inherit" });
    worker.once("exit", (code, signal) => {
      if (signal !== null) console.error(`the process ended (${signal})`);
      resolve(code ?? 1);
    });
    worker.send(request);
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
