// The vocabulary shared by the bench and its peer processes: what a job is, and what a peer answers. No code runs here.

/** The functions of one variable whose error is measured. */
export const unaryNames = ["exp", "log", "tanh", "erf", "sin", "cos"] as const;
export type UnaryName = (typeof unaryNames)[number];

/** One computation that a peer can be asked for. Every peer makes its inputs itself, from `inputs.ts`. */
export type Job =
  | { readonly kind: "matmul"; readonly m: number; readonly k: number; readonly n: number }
  | { readonly kind: "elementwise"; readonly size: number }
  | { readonly kind: "softmax"; readonly rows: number; readonly columns: number }
  | { readonly kind: "sum"; readonly size: number }
  | { readonly kind: "training-step"; readonly batch: number }
  | { readonly kind: "conv-training"; readonly batch: number }
  | { readonly kind: "training-run"; readonly batch: number; readonly epochs: number }
  | { readonly kind: "linear-regression"; readonly points: number; readonly steps: number }
  | { readonly kind: "mandelbrot"; readonly size: number; readonly limit: number }
  | { readonly kind: "jacobi"; readonly size: number; readonly steps: number }
  | { readonly kind: "rnn"; readonly steps: number; readonly batch: number; readonly hidden: number }
  | { readonly kind: "unary"; readonly name: UnaryName }
  | { readonly kind: "pow" }
  | { readonly kind: "fma-peak"; readonly relaxed: boolean }
  | { readonly kind: "read-bandwidth"; readonly size: number }
  | { readonly kind: "copy-bandwidth"; readonly size: number }
  /** What device the peer runs on, as facts. */
  | { readonly kind: "adapter" };

export type JobOf<Kind extends Job["kind"]> = Extract<Job, { kind: Kind }>;

/** Numbers a peer knows about what it prepared, such as its kernel count. */
export type Facts = Readonly<Record<string, number | string>>;

/** A job that is ready to run: inputs are on the device and whatever can be compiled ahead has been. */
export interface Prepared {
  /** The timed body. It returns when the result exists on the device, and leaves nothing behind. */
  run(): void | Promise<void>;
  /** The values that are held against the float64 reference. Called once, before any `run`. */
  result(): Float32Array | Promise<Float32Array>;
  /**
   * Puts a job that has state back to its start; called, untimed, before every series of runs. Training goes on a single
   * batch: after some 750 steps the means of parameters that no longer get a gradient would be subnormal numbers, and
   * arithmetic on those is many times slower on some processors.
   */
  reset?(): void;
  /**
   * Where `run` only hands work to a queue: resolves when all of it is done. Many runs are then timed together, with one
   * wait at their end, and besides a run that is waited for by itself.
   */
  finish?(): Promise<void>;
  /** Milliseconds of the device's own clock for one run; undefined where it has none. Called after a series of runs. */
  deviceTime?(): Promise<number | undefined>;
  /** Chooses among the library's settings by time. Called once, before the job is warmed. */
  tune?(): Promise<void>;
  /** Asked for when the job is checked, and again when it is warm. */
  readonly facts?: Facts;
  dispose(): void;
}

/** What a peer says when it has no way to do a job; the reason is printed. */
export interface Refusal {
  readonly refused: string;
}

/** One library under test. A peer module exports exactly one of these as `peer`. */
export interface Peer {
  readonly name: string;
  prepare(job: Job): Promise<Prepared | Refusal>;
}
