// Sinter on WebGPU. Calls are submitted as they are made; the wait is for the device's queue.
import "../adapter.ts";
import { gpuDevice, ready, setBackend } from "sinter";
import type { Peer } from "../../harness/job.ts";
import { prepare } from "../../peers/sinter.ts";
import { observed } from "../probe.ts";

setBackend("webgpu");
await ready("webgpu");

export const peer: Peer = {
  name: "sinter",
  prepare: async (job) => {
    const prepared = prepare(job);
    if ("refused" in prepared) return prepared;
    return observed({ ...prepared, finish: () => gpuDevice().queue.onSubmittedWorkDone() }, gpuDevice);
  },
};
