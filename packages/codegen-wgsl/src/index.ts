/** Turns nests into loops of GPU threads, and those into WGSL. */
export { emit, emitText, type ProgramText } from "./emit/program.ts";
export { KernelError } from "./emit/types.ts";
export { type ScheduleOptions, schedule } from "./schedule/index.ts";
export type { ProductChoice } from "./schedule/product.ts";
export { type Tile, tileProblem } from "./schedule/tiles.ts";
