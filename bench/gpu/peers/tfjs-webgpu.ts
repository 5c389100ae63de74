// TensorFlow.js on WebGPU, in production mode. Ops are recorded as they are called and submitted by the fifteen, unless
// another number turns out to be faster.
import "../adapter.ts";
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-webgpu";
import type { Job, Peer, Prepared } from "../../harness/job.ts";
import { runQueued } from "../../harness/sampling.ts";
import { type Dense, prepare, trainingStep } from "../../peers/tfjs-jobs.ts";
import { observed } from "../probe.ts";

tf.enableProdMode();
if (!(await tf.setBackend("webgpu"))) throw new Error("tfjs did not get a device");
await tf.ready();

const device = (): GPUDevice => (tf.backend() as unknown as { readonly device: GPUDevice }).device;

const batchFlag = "WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE";
const batchSizes = [15, 60, 240];

export const peer: Peer = {
  name: "tfjs-webgpu",
  prepare: async (job) => tuned(job, undefined),
};

/** `dense`: the layers of the training step, where they are not written as one writes them. */
export function tuned(job: Job, dense: Dense | undefined): Prepared | { readonly refused: string } {
  tf.env().set(batchFlag, batchSizes[0]!);
  const prepared =
    job.kind === "training-step" && dense !== undefined ? trainingStep(job, true, dense) : prepare(job, true);
  if ("refused" in prepared) return prepared;
  return observed(
    {
      ...prepared,
      tune: () => chooseBatchSize(prepared),
      get facts() {
        return { "dispatches per submit": Number(tf.env().get(batchFlag)) };
      },
    },
    device,
  );
}

/** Only runs of many dispatches are affected; the best of three short series decides. */
async function chooseBatchSize(prepared: Prepared): Promise<void> {
  const best = { size: batchSizes[0]!, time: Number.POSITIVE_INFINITY };
  await runQueued(prepared, 3);
  for (const size of batchSizes) {
    tf.env().set(batchFlag, size);
    for (let series = 0; series < 3; series++) {
      prepared.reset?.();
      const time = await runQueued(prepared, 10);
      // A larger one has to be worth it.
      if (time < best.time * (size === best.size ? 1 : 0.97)) Object.assign(best, { size, time });
    }
  }
  tf.env().set(batchFlag, best.size);
}
