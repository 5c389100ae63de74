/** Training, evaluation and prediction, and what looks on. */
export type { Batches } from "./batches.ts";
export { type EarlyStoppingOptions, earlyStopping } from "./callbacks/early-stopping.ts";
export { csvLog, jsonlLog, type LogOptions } from "./callbacks/logs.ts";
export { type ProgressOptions, progress } from "./callbacks/progress.ts";
export { learningRateSchedule, type PlateauOptions, reduceOnPlateau } from "./callbacks/rates.ts";
export { tensorBoard } from "./callbacks/tensor-board.ts";
export { type EvaluateOptions, evaluate } from "./evaluate.ts";
export { fit } from "./fit.ts";
export {
  type Callback,
  type EpochLogs,
  type History,
  type Logs,
  NonFiniteLossError,
  type Position,
  type Run,
} from "./history.ts";
export type { FitOptions } from "./options.ts";
export type { LossOf, Measure, Measures, Model, StepOptions } from "./pass.ts";
export { type PredictOptions, predict } from "./predict.ts";
