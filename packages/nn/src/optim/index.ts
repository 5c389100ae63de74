/** Optimisers, their schedules, and the clipping of gradients. */
export { adabound, adagrad, adam, adamw, lion, rmsprop } from "./adaptive.ts";
export { clipByGlobalNorm, clipByValue } from "./clip.ts";
export { Optimizer, type OptimizerOptions, type Rule, type Update } from "./optimizer.ts";
export * as schedules from "./schedules.ts";
export { momentum, nesterov, sgd } from "./sgd.ts";
