// What the floors share: a device with all limits of its adapter, kernels of one bind group, and a run that is long enough
// to be worth a wait.
import type { Prepared } from "../../harness/job.ts";
import { runQueued } from "../../harness/sampling.ts";
import { requestAdapter } from "../adapter.ts";

/** Threads of a group. */
export const groupSize = 256;
/** A floor's run lasts this long, in milliseconds: what it costs to hand it over does not count then. */
const shortestRun = 20;

let opened: Promise<GPUDevice> | undefined;

export function theDevice(): Promise<GPUDevice> {
  opened ??= open();
  return opened;
}

async function open(): Promise<GPUDevice> {
  const adapter = await requestAdapter();
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const device = await adapter.requestDevice({ requiredLimits: { maxBufferSize, maxStorageBufferBindingSize } });
  // A floor that is not measured is no floor.
  device.addEventListener("uncapturederror", ({ error }) => {
    throw new Error(error.message);
  });
  return device;
}

/** A kernel with its buffers, and groups enough for `threads` threads. */
export interface Kernel {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly groups: readonly [number, number];
}

/** `main` of `code`, whose bindings 0, 1, ... of group 0 are `buffers`. */
export async function makeKernel(
  device: GPUDevice,
  code: string,
  buffers: readonly GPUBuffer[],
  threads: number,
): Promise<Kernel> {
  const module = device.createShaderModule({ code });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const needed = Math.ceil(threads / groupSize);
  const across = Math.min(needed, device.limits.maxComputeWorkgroupsPerDimension);
  return { pipeline, group, groups: [across, Math.ceil(needed / across)] };
}

/** The number of a thread, for a kernel of groups that may be folded in two dimensions. */
export const threadNumber = `
  let thread = (group.x + group.y * groups.x) * ${groupSize}u + local;`;

/** Parameters of a kernel's entry point that `threadNumber` needs. */
export const entryPoint = `@compute @workgroup_size(${groupSize})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32)`;

export function submitKernel(device: GPUDevice, { pipeline, group, groups }: Kernel, times: number): void {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  for (let time = 0; time < times; time++) pass.dispatchWorkgroups(...groups);
  pass.end();
  device.queue.submit([encoder.finish()]);
}

export async function readFloats(device: GPUDevice, buffer: GPUBuffer, count: number): Promise<Float32Array> {
  const size = count * 4;
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return values;
}

/** A way to do a floor's work: several dispatches of one kernel in a run. */
export interface Variant {
  readonly name: string;
  readonly kernel: Kernel;
}

/** What a floor is made of. */
export interface FloorParts {
  /** Of one dispatch. */
  readonly amount: { readonly name: "flops" | "bytes"; readonly value: number };
  readonly variants: readonly Variant[];
  /** The values that the kernels leave, checked against what they must be; throws. */
  check(variant: Variant): Promise<void>;
  readonly buffers: readonly GPUBuffer[];
}

/** A floor as a job: the fastest of its variants, as often in a run as fill it. */
export function floorJob(device: GPUDevice, { amount, variants, check, buffers }: FloorParts): Prepared {
  let chosen = variants[0]!;
  let times = 1;
  const jobOf = (variant: Variant): Prepared => ({
    run: () => submitKernel(device, variant.kernel, times),
    finish: () => device.queue.onSubmittedWorkDone(),
    result: () => new Float32Array(0),
    dispose: () => {},
  });
  return {
    ...jobOf(chosen),
    run: () => submitKernel(device, chosen.kernel, times),
    result: async () => {
      for (const variant of variants) {
        submitKernel(device, variant.kernel, 1);
        await check(variant);
      }
      return Float32Array.of(1);
    },
    tune: async () => {
      // The clock of the device rises while this doubles.
      while ((await runQueued(jobOf(chosen), 1)) < shortestRun && times < 1 << 20) times *= 2;
      let best = Number.POSITIVE_INFINITY;
      for (const variant of variants) {
        for (let series = 0; series < 3; series++) {
          const time = await runQueued(jobOf(variant), 2);
          if (time < best) [best, chosen] = [time, variant];
        }
      }
    },
    get facts() {
      return { [amount.name]: amount.value * times, way: chosen.name };
    },
    dispose: () => {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}
