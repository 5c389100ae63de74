// jax-js on WebGPU: jitted functions, each submitted as it is called, and waited for together.
import "../adapter.ts";
import { defaultDevice, getWebGPUDevice, init } from "@jax-js/jax";
import type { Peer } from "../../harness/job.ts";
import { prepare } from "../../peers/jax-js-jobs.ts";
import { observed } from "../probe.ts";

const found = await init("webgpu");
if (!found.includes("webgpu")) throw new Error("jax-js did not get a device");
defaultDevice("webgpu");

export const peer: Peer = {
  name: "jax-js",
  prepare: async (job) => {
    const prepared = prepare(job, true);
    return "refused" in prepared ? prepared : observed(prepared, () => getWebGPUDevice());
  },
};
