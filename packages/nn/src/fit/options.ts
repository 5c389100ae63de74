/** What `fit` is told. */
import type { Tensor } from "@sinter/tracer";
import type { Optimizer } from "../optim/index.ts";
import type { Batches } from "./batches.ts";
import type { Callback } from "./history.ts";
import type { LossOf, Measures, StepOptions } from "./pass.ts";

export interface FitOptions<Y = Tensor, P = Tensor> {
  /** The model's penalties are added to it. */
  readonly loss: LossOf<Y, P>;
  readonly optimizer: Optimizer;
  /** Until which epoch is trained; 1 unless given. */
  readonly epochs?: number;
  readonly metrics?: Measures;
  /** Batches on which loss and metrics are computed after each epoch: "valLoss" and so on. */
  readonly validation?: Batches;
  readonly callbacks?: readonly (Callback | undefined)[];
  /** How many batches an epoch has; all unless given. A dataset that repeats without end needs it. */
  readonly stepsPerEpoch?: number;
  /** Epochs that are done already, where training goes on. */
  readonly initialEpoch?: number;
  /** Steps of the next epoch that are done already. */
  readonly initialStep?: number;
  /** Gradients are made shorter where all of them together are longer than this. */
  readonly clipNorm?: number;
  /** What a loss that is not finite does: "throw" (unless given) a NonFiniteLossError, or "stop" with what there is. */
  readonly onNaN?: "throw" | "stop";
  /** Whether Ctrl-C ends training after the step that runs; true unless given. A second one ends the process. */
  readonly interrupt?: boolean;
  /** Ends training as Ctrl-C does. */
  readonly signal?: AbortSignal;
  /** How the step is compiled. */
  readonly compile?: StepOptions;
}
