/**
 * What schedules of every target are made of: rewrites of nests, the payload of a point as loops, accumulators, the
 * recognition of products. Each target decides about threads, tiles and lanes itself.
 */
export * from "./accumulate.ts";
export * from "./alias.ts";
export * from "./flat.ts";
export * from "./kernel-func.ts";
export * from "./lanes.ts";
export * from "./levels.ts";
export * from "./nests.ts";
export * from "./payload.ts";
export * from "./prepare.ts";
export * from "./product.ts";
export * from "./program.ts";
export * from "./sizes.ts";
