// The peak rate of f32 multiply-adds on a GPU: many threads with independent chains of `fma` in registers.
import type { Prepared } from "../../harness/job.ts";
import { entryPoint, type FloorParts, floorJob, groupSize, makeKernel, readFloats, threadNumber } from "./device.ts";

/** Threads: several groups for every unit of the largest GPUs. */
const threads = 1 << 19;
const turns = 32;
/** Multiply-adds of a chain in one turn of the loop, so that the loop's own work does not count. */
const unrolled = 8;

/**
 * Numbers of chains of `lanes` values. A thread needs as many independent operations as its pipeline is long; more of them
 * take registers, and so threads that run at once. Which is best, and whether vectors help, differs between GPUs.
 */
const shapes = [
  { chains: 16, lanes: 1 },
  { chains: 32, lanes: 1 },
  { chains: 4, lanes: 4 },
  { chains: 8, lanes: 4 },
] as const;

/** x -> x/2 + 1 has settled on 2. Factor and summand come from memory, so that no compiler knows this. */
function codeOf({ chains, lanes }: (typeof shapes)[number]): string {
  const type = lanes === 1 ? "f32" : `vec${lanes}f`;
  const names = Array.from({ length: chains }, (_, chain) => `x${chain}`);
  const step = names.map((name) => `${name} = fma(${name}, factor, summand);`).join(" ");
  const total = `(${names.join(" + ")})`;
  return `
@group(0) @binding(0) var<storage, read> given: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
${entryPoint} {${threadNumber}
  let factor = ${type}(given[0]);
  let summand = ${type}(given[1]);
  let turns = u32(given[2]);
${names.map((name, chain) => `  var ${name} = ${type}(f32(thread % 64u) + ${chain}.0);`).join("\n")}
  for (var turn = 0u; turn < turns; turn++) {
${Array.from({ length: unrolled }, () => `    ${step}`).join("\n")}
  }
  out[thread] = ${lanes === 1 ? total : `dot(${total}, ${type}(1.0))`};
}`;
}

/** Flops of a dispatch are the same for all shapes: those with fewer chains make more turns. */
const widest = Math.max(...shapes.map(({ chains, lanes }) => chains * lanes));

export async function fmaPeak(device: GPUDevice): Promise<Prepared> {
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const out = device.createBuffer({ size: threads * 4, usage: STORAGE | COPY_SRC | COPY_DST });
  const buffers = [out];
  const variants: (FloorParts["variants"][number] & { readonly expected: number })[] = [];
  for (const shape of shapes) {
    const width = shape.chains * shape.lanes;
    const given = device.createBuffer({ size: 16, usage: STORAGE | COPY_DST });
    device.queue.writeBuffer(given, 0, Float32Array.of(0.5, 1, (turns * widest) / width, 0));
    buffers.push(given);
    const kernel = await makeKernel(device, codeOf(shape), [given, out], threads);
    variants.push({ name: `${shape.chains} chains of ${shape.lanes}`, kernel, expected: 2 * width });
  }
  return floorJob(device, {
    amount: { name: "flops", value: threads * turns * unrolled * widest * 2 },
    variants,
    check: async (variant) => {
      const { expected } = variants.find((other) => other === variant)!;
      const values = await readFloats(device, out, threads);
      const wrong = values.findIndex((value) => !(Math.abs(value - expected) <= 1e-5 * expected));
      if (wrong >= 0)
        throw new Error(
          `fma peak, ${variant.name}: ${values[wrong]} in thread ${wrong} of ${threads / groupSize} groups`,
        );
      // What is there must not pass for the next variant's result.
      device.queue.writeBuffer(out, 0, new Float32Array(threads));
    },
    buffers,
  });
}
