/** Fusion: from a graph to nests. */
export { type LowerOptions, lower } from "./lower.ts";
