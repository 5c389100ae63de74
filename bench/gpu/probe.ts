// What a library asks of WebGPU, seen at WebGPU itself, so that it is the same question for all of them: command buffers,
// dispatches, and the time that compute passes take by the device's own clock.
import type { Facts, Prepared } from "../harness/job.ts";

/** Runs that the device's clock is read for. */
const timedRuns = 4;
/** Runs over which submits and dispatches are counted: a library may submit several runs together. */
const countedRuns = 4;
/** WebGPU's limit for the values of a query set. */
const mostQueries = 4096;

/** A job whose facts count the submits and dispatches of a run, and which knows its time on the device. */
export function observed(prepared: Prepared, device: () => GPUDevice): Prepared {
  const { finish } = prepared;
  if (finish === undefined) throw new Error("a job on a GPU has a queue");
  const runs = async (count: number): Promise<void> => {
    for (let run = 0; run < count; run++) await prepared.run();
    await prepared.finish?.();
  };
  let counts: Facts = {};
  return {
    ...prepared,
    result: async () => {
      const values = await prepared.result();
      await prepared.reset?.();
      // The wait asks for work of its own.
      const [one, many] = [await counted(() => runs(1)), await counted(() => runs(1 + countedRuns))];
      const each = (name: keyof Counts): number => Number(((many[name] - one[name]) / countedRuns).toFixed(1));
      counts = { submits: each("submits"), dispatches: each("dispatches") };
      return values;
    },
    deviceTime: async () => {
      const total = await timeOfPasses(device(), () => runs(timedRuns));
      return total === undefined ? undefined : total / timedRuns;
    },
    get facts() {
      return { ...prepared.facts, ...counts };
    },
  };
}

interface Counts {
  readonly submits: number;
  readonly dispatches: number;
}

async function counted(work: () => Promise<void>): Promise<Counts> {
  let submits = 0;
  let dispatches = 0;
  const restore = [
    replace(GPUQueue.prototype, "submit", (original) => {
      return function (this: GPUQueue, commands) {
        submits++;
        return original.call(this, commands);
      };
    }),
    replace(GPUComputePassEncoder.prototype, "dispatchWorkgroups", (original) => {
      return function (this: GPUComputePassEncoder, ...groups) {
        dispatches++;
        return original.apply(this, groups);
      };
    }),
  ];
  try {
    await work();
  } finally {
    for (const undo of restore) undo();
  }
  return { submits, dispatches };
}

/** Milliseconds of all compute passes; undefined where the device has no clock, or there are too many passes. */
export async function timeOfPasses(device: GPUDevice, work: () => Promise<void>): Promise<number | undefined> {
  if (!device.features.has("timestamp-query")) return undefined;
  const querySet = device.createQuerySet({ type: "timestamp", count: mostQueries });
  let used = 0;
  const restore = replace(GPUCommandEncoder.prototype, "beginComputePass", (original) => {
    return function (this: GPUCommandEncoder, descriptor = {}) {
      const first = used;
      used += 2;
      if (used > mostQueries) return original.call(this, descriptor);
      const timestampWrites = { querySet, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 };
      return original.call(this, { ...descriptor, timestampWrites });
    };
  });
  try {
    await work();
  } finally {
    restore();
  }
  try {
    return used === 0 || used > mostQueries ? undefined : await sumOfPairs(device, querySet, used);
  } finally {
    querySet.destroy();
  }
}

async function sumOfPairs(device: GPUDevice, querySet: GPUQuerySet, count: number): Promise<number> {
  const size = count * 8;
  const resolved = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const stamps = new BigUint64Array(staging.getMappedRange().slice(0));
  resolved.destroy();
  staging.destroy();
  let nanoseconds = 0n;
  for (let i = 0; i < count; i += 2) nanoseconds += stamps[i + 1]! - stamps[i]!;
  return Number(nanoseconds) / 1e6;
}

/** Replaces a method until the returned function is called. */
function replace<T extends object, K extends keyof T>(target: T, name: K, by: (original: T[K]) => T[K]): () => void {
  const original = target[name];
  target[name] = by(original);
  return () => {
    target[name] = original;
  };
}
