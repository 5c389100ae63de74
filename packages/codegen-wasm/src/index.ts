/** Turns nests into loops and loops into WebAssembly. Importing this loads no assembler: `loadAssembler()` does. */
export { assemblerLoaded, loadAssembler } from "./asm.ts";
export { type EmitOptions, emit, slotsOf } from "./emit/program.ts";
export { emitWat } from "./emit/wat.ts";
export { probeFeatures } from "./features.ts";
export { type ScheduleOptions, schedule } from "./schedule/index.ts";
