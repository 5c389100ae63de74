/** Programs on a GPU. Loaded when somebody asks for one, so that a page without WebGPU does not carry it. */
export { compileToWebgpu, kernelPlaces, type WebgpuCompileOptions, type WebgpuMade } from "./compile.ts";
export { bytesPerElement, paddedBytes } from "./data.ts";
export { type GpuExecutable, instantiateOnGpu } from "./exec/program.ts";
export { GpuMachine, type GpuStats } from "./machine.ts";
export { measurePeaksOf } from "./peaks.ts";
export type { GpuBlock } from "./pool.ts";
export { buffersOf, type DeviceKind, everyDevice, webgpuTarget } from "./target.ts";
export { hasClock, type TimedGpuProgram, timedOnGpu } from "./timed.ts";
