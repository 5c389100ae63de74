/** Turns nests into loops and loops into WebAssembly. */
export { type EmitOptions, type EntryPoint, emitModule, type WasmModule } from "./emit/module.ts";
export { emit, emitText, emitWat, functionNames, type ProgramText, slotsOf } from "./emit/program.ts";
export { probeFeatures } from "./features.ts";
export { type ScheduleOptions, schedule } from "./schedule/index.ts";
