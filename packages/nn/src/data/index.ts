/** Datasets, and what makes them larger. */
export * as augment from "./augment.ts";
export { type BatchOptions, Dataset, fromArrays, type MapContext } from "./dataset.ts";
export { Random } from "./random.ts";
export type { BatchOf, Column, RowOf, Sample, TreeOf } from "./samples.ts";
