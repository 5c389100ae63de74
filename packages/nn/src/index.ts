/** Modules, losses and optimisers. */

export * as data from "./data/index.ts";
export * from "./fit/index.ts";
export * as losses from "./losses.ts";
export * as metrics from "./metrics.ts";
export type { CallOptions } from "./module.ts";
export * as nn from "./nn.ts";
export * as optim from "./optim/index.ts";
