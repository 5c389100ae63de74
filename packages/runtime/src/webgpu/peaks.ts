/** What a device reaches at best, measured: the two rates of the roofline model. */
import type { Peaks } from "../roofline.ts";
import type { GpuMachine } from "./machine.ts";
import { PassClock } from "./timed.ts";
import { usage } from "./usage.ts";

const threads = 256;
/** Chains of vector multiply-adds that do not wait for each other. */
const chains = 8;
const flopsPerTurn = chains * 4 * 2;
/** Groups that fill a large device several times over. */
const groups = 2048;
/** More than caches hold, where a binding may be that large and the device is fast enough for it. */
const mostBytes = 256 * 1024 * 1024;
const leastBytes = 1024 * 1024;
const mostTurns = 1 << 18;
/** How long a measurement is at least: longer than a clock's steps. */
const leastMilliseconds = 10;
const runs = 5;

const names = Array.from({ length: chains }, (_, i) => `x${i}`);

const arithmetic = `struct Params { turns: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;
@compute @workgroup_size(${threads}) fn main(@builtin(global_invocation_id) id: vec3u) {
${names.map((x, i) => `  var ${x} = vec4f(f32(id.x + ${i}u));`).join("\n")}
  for (var i = 0u; i < params.turns; i++) {
${names.map((x) => `    ${x} = fma(${x}, vec4f(0.5f), vec4f(1.0f));`).join("\n")}
  }
  sums[id.x] = ${names.join(" + ")};
}
`;

const reading = `struct Params { vectors: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> data: array<vec4f>;
@compute @workgroup_size(${threads}) fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = vec4f(0.0f);
  for (var i = id.x; i < params.vectors; i += ${threads * groups}u) { sum += data[i]; }
  // Never so, which only the device finds out.
  if (sum.x == 12345.0f) { data[id.x] = sum; }
}
`;

const known = new WeakMap<GpuMachine, Promise<Peaks>>();

/** Measured once for a device that has a clock: arithmetic on vectors in registers, and reading of memory. */
export function measurePeaksOf(machine: GpuMachine): Promise<Peaks> {
  let peaks = known.get(machine);
  if (peaks === undefined) known.set(machine, (peaks = measure(machine)));
  peaks.catch(() => known.delete(machine));
  return peaks;
}

async function measure(machine: GpuMachine): Promise<Peaks> {
  const { limits } = machine.features;
  const bytes = Math.min(mostBytes, limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  const read = await bestRate(machine, "reading", reading, [leastBytes / 16, Math.floor(bytes / 16)], bytes);
  const turns = await bestRate(machine, "arithmetic", arithmetic, [1, mostTurns], groups * threads * 16);
  return { gflops: (turns * groups * threads * flopsPerTurn) / 1e6, gbs: (read * 16) / 1e6 };
}

/** Work per millisecond at best, of as much between `least` and `most` as takes long enough. Its parameter says how much. */
async function bestRate(
  machine: GpuMachine,
  label: string,
  code: string,
  [least, most]: readonly [number, number],
  bytes: number,
): Promise<number> {
  const { device } = machine;
  const { pipeline, layout } = await machine.pipelines.get({
    label,
    code,
    buffers: ["read_write"],
    params: true,
    gated: false,
  }).ready;
  const block = machine.allocate(bytes);
  const params = device.createBuffer({ label, size: 256, usage: usage.params });
  const clock = new PassClock(machine);
  const entries = [
    { binding: 0, resource: { buffer: params, size: 16 } },
    { binding: 1, resource: { buffer: block.buffer, size: bytes } },
  ];
  const group = device.createBindGroup({ label, layout, entries });
  const once = async (work: number): Promise<number> => {
    await machine.turns.take(undefined, () => {
      machine.write(params, 0, Uint32Array.of(work));
      const encoder = device.createCommandEncoder({ label });
      const pass = encoder.beginComputePass(clock.pass(undefined));
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group, [0]);
      pass.dispatchWorkgroups(groups);
      pass.end();
      clock.resolve(encoder);
      machine.submit(encoder);
      clock.submitted();
      return undefined;
    });
    const [time] = await clock.take();
    return Number(time!.end - time!.begin) / 1e6;
  };
  try {
    let work = Math.min(least, most);
    await once(work);
    while (work < most && (await once(work)) < leastMilliseconds) work = Math.min(2 * work, most);
    let milliseconds = Number.POSITIVE_INFINITY;
    // A clock that stands still must not make a rate infinite.
    for (let i = 0; i < runs; i++) milliseconds = Math.min(milliseconds, Math.max(1e-3, await once(work)));
    return work / milliseconds;
  } finally {
    machine.release(block);
    params.destroy();
    clock.dispose();
  }
}
