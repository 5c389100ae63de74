// TensorFlow.js on its wasm backend, with the SIMD build on one thread.
import * as tf from "@tensorflow/tfjs";
import { setThreadsCount } from "@tensorflow/tfjs-backend-wasm";
import type { Peer } from "../harness/job.ts";
import { prepare } from "./tfjs-jobs.ts";

setThreadsCount(1);
await tf.setBackend("wasm");
await tf.ready();
if (!(await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT"))) throw new Error("tfjs did not choose its SIMD build");

export const peer: Peer = {
  name: "tfjs-wasm",
  prepare: (job) => Promise.resolve(prepare(job, false)),
};
