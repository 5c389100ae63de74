// The messages between the bench and a peer process: one JSON object each way at a time. Results travel as files of raw
// float32, because a 4M-element array as JSON would cost more than the work that is measured.
import type { Facts, Job } from "./job.ts";

export type Request =
  /** Prepare `job` and write its result to `resultFile`. */
  | { readonly type: "check"; readonly job: Job; readonly resultFile: string }
  /** Run the checked job until its times no longer fall. */
  | { readonly type: "warm"; readonly limitSeconds: number }
  /** Time the checked job for about `seconds`. */
  | { readonly type: "sample"; readonly seconds: number }
  /** In a fresh process: prepare `job`, run it once, and say how long each part took. */
  | { readonly type: "first-call"; readonly job: Job }
  /** Free the checked job. */
  | { readonly type: "release" };

export type Reply =
  | { readonly type: "checked"; readonly facts: Facts }
  | { readonly type: "refused"; readonly reason: string }
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "warmed"; readonly runs: number; readonly milliseconds: number; readonly facts: Facts }
  | { readonly type: "times"; readonly times: Times }
  | { readonly type: "first-call"; readonly times: FirstCallTimes }
  | { readonly type: "released" };

/** Milliseconds of one turn, by sample. */
export interface Times {
  /** Of one run. For a job with a queue: of one among many that are waited for together. */
  readonly runs: readonly number[];
  /** Jobs with a queue: of one run that is waited for by itself. */
  readonly waited?: readonly number[];
  /** Of the device's own clock, for one run. */
  readonly device?: number;
}

/** Where the time of a first call in a fresh process went, in milliseconds. */
export interface FirstCallTimes {
  /** Importing the library and making it ready. */
  readonly load: number;
  /** Placing inputs and building what the first call needs. */
  readonly prepare: number;
  /** The first call itself: trace, compile, run. */
  readonly call: number;
  /** From the start of the process to the end of the first call. */
  readonly sinceProcessStart: number;
}
