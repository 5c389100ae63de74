/** Every array function. */
export * from "./conv.ts";
export * from "./create.ts";
export * from "./elementwise.ts";
export * from "./indexing.ts";
export * from "./linalg.ts";
export * from "./movement.ts";
export * from "./pool.ts";
export * from "./reduce.ts";
export * from "./sort.ts";
