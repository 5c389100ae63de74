// The GPU's own limits as a peer, so that they are measured between the others, round by round; and its name.
import { GpuMachine } from "@sinter/runtime/webgpu";
import type { Facts, Job, Peer, Prepared, Refusal } from "../../harness/job.ts";
import { requestAdapter } from "../adapter.ts";
import { theDevice } from "../floors/device.ts";
import { fmaPeak } from "../floors/fma-peak.ts";
import { stream } from "../floors/stream.ts";

export const peer: Peer = { name: "floors", prepare };

async function prepare(job: Job): Promise<Prepared | Refusal> {
  switch (job.kind) {
    case "adapter":
      return nothing(await describeAdapter());
    case "fma-peak":
      return await fmaPeak(await theDevice());
    case "read-bandwidth":
    case "copy-bandwidth": {
      const floor = await stream(await theDevice(), job.kind === "read-bandwidth" ? "read" : "copy", job.size);
      return typeof floor === "string" ? { refused: floor } : floor;
    }
    default:
      return { refused: "not a floor" };
  }
}

const nothing = (facts: Facts): Prepared => ({
  run: () => {},
  result: () => new Float32Array(0),
  facts,
  dispose: () => {},
});

/** Names of drivers that compute on the processor, where the adapter does not say so itself. */
const software = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b|software/i;

async function describeAdapter(): Promise<Facts> {
  const { info, features, limits } = await requestAdapter();
  const { description } = await GpuMachine.acquire();
  return {
    name: description,
    software: Number(info.isFallbackAdapter || software.test(description)),
    timestamps: Number(features.has("timestamp-query")),
    subgroups: Number(features.has("subgroups")),
    f16: Number(features.has("shader-f16")),
    "bytes of a binding": limits.maxStorageBufferBindingSize,
  };
}
