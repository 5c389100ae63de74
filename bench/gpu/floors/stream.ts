// The memory bandwidth of a GPU: kernels that read an array, or copy it, four floats at a time.
import { sumInput } from "../../harness/inputs.ts";
import type { Prepared } from "../../harness/job.ts";
import { sum64 } from "../../reference/array-ops.ts";
import { entryPoint, floorJob, groupSize, makeKernel, readFloats, threadNumber, type Variant } from "./device.ts";

/** Vectors that one thread takes, a whole grid apart. Which is best differs between GPUs. */
const perThread = [1, 4, 16] as const;

const copyCode = (vectors: number, steps: number): string => `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;
${entryPoint} {${threadNumber}
  let stride = ${Math.ceil(vectors / steps)}u;
  if (thread >= stride) { return; }
  for (var step = 0u; step < ${steps}u; step++) {
    let at = thread + step * stride;
    if (at < ${vectors}u) { out[at] = source[at]; }
  }
}`;

/** Each thread leaves a sum: a fraction of the traffic that shrinks with the vectors that it takes. */
const readCode = (vectors: number, steps: number): string => `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
var<workgroup> sums: array<f32, ${groupSize}>;
${entryPoint} {${threadNumber}
  let stride = ${Math.ceil(vectors / steps)}u;
  var sum = vec4f(0.0);
  for (var step = 0u; step < ${steps}u; step++) {
    let at = thread + step * stride;
    if (thread < stride && at < ${vectors}u) { sum += source[at]; }
  }
  sums[local] = sum.x + sum.y + sum.z + sum.w;
  workgroupBarrier();
  for (var half = ${groupSize / 2}u; half > 0u; half /= 2u) {
    if (local < half) { sums[local] += sums[local + half]; }
    workgroupBarrier();
  }
  let number = group.x + group.y * groups.x;
  if (local == 0u && number < arrayLength(&out)) { out[number] = sums[0]; }
}`;

/** The bandwidth over an array of `size` floats; a string says why this device cannot hold it. */
export async function stream(device: GPUDevice, kind: "read" | "copy", size: number): Promise<Prepared | string> {
  const bytes = size * 4;
  const { maxStorageBufferBindingSize } = device.limits;
  if (bytes > maxStorageBufferBindingSize)
    return `${bytes} bytes are more than this device binds (maxStorageBufferBindingSize ${maxStorageBufferBindingSize})`;
  if (size % 4 !== 0) throw new Error(`${size} floats are not whole vectors`);
  const input = sumInput({ size });
  const total = sum64(input);
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const source = device.createBuffer({ size: bytes, usage: STORAGE | COPY_DST });
  const vectors = size / 4;
  const sums = Math.ceil(vectors / groupSize);
  const outSize = kind === "copy" ? bytes : sums * 4;
  const out = device.createBuffer({ size: outSize, usage: STORAGE | COPY_SRC | COPY_DST });
  device.queue.writeBuffer(source, 0, input as Float32Array<ArrayBuffer>);
  const code = kind === "copy" ? copyCode : readCode;
  const steps = kind === "copy" ? perThread : perThread.map((each) => 4 * each);
  const variants: Variant[] = [];
  for (const each of steps) {
    const threads = Math.ceil(vectors / each);
    const kernel = await makeKernel(device, code(vectors, each), [source, out], threads);
    variants.push({ name: `${each} vectors a thread`, kernel });
  }
  return floorJob(device, {
    amount: { name: "bytes", value: bytes * (kind === "copy" ? 2 : 1) },
    variants,
    check: async ({ name }) => {
      const found = sum64(await readFloats(device, out, outSize / 4));
      // Sums of thousands of values each round; a copy does not.
      const allowed = kind === "copy" ? 0 : size * 1e-7;
      if (!(Math.abs(found - total) <= allowed))
        throw new Error(`${kind}, ${name}: the sum is ${found}, should be ${total}`);
      device.queue.writeBuffer(out, 0, new Float32Array(outSize / 4));
    },
    buffers: [source, out],
  });
}
