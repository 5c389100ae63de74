// jax-js on its wasm backend. In Node it runs on one thread, and it uses relaxed SIMD where the engine has it.
import { defaultDevice, init } from "@jax-js/jax";
import type { Peer } from "../harness/job.ts";
import { prepare } from "./jax-js-jobs.ts";

await init("wasm");
defaultDevice("wasm");

export const peer: Peer = {
  name: "jax-js",
  // Without waiting in every step jax-js queues the work and slows down with the length of the queue.
  prepare: (job) => Promise.resolve(prepare(job, false)),
};
