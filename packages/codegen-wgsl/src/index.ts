/** Turns nests into loops of GPU threads, and those into WGSL. */
export { emit } from "./emit/program.ts";
export { type ScheduleOptions, schedule } from "./schedule/index.ts";
