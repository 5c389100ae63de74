/** One heap, the program cache and execution. */

export type { LoopProgram, MemoryKind, Plan, Slot, WasmFeatures, WasmProgram } from "@sinter/ir";
export { Buffer, type Device, GpuBuffer } from "./buffer.ts";
export { functionText } from "./bundle/declarations.ts";
export { writeFolder } from "./bundle/folder.ts";
export { crc32 } from "./bundle/loader/crc32.ts";
export {
  AssertionError as BundleAssertionError,
  BundleError,
  type LoadOptions,
  type Program,
  type ResultTensor,
  type SelfTestReport,
} from "./bundle/loader/index.ts";
export type { AsyncProgram, AsyncVariable, TargetName } from "./bundle/loader/targets.ts";
export type * from "./bundle/manifest.ts";
export { type BundleSource, loadBundle, type OpenBundle, type OpenOptions, openBundle } from "./bundle/open.ts";
export {
  dataOf,
  type NamedTensor,
  readSafetensors,
  type Safetensors,
  SafetensorsError,
  type StoredTensor,
  writeSafetensors,
} from "./bundle/safetensors.ts";
export type * from "./bundle/spec.ts";
export { type Files, writeBundle } from "./bundle/write.ts";
export type { CompileForDevices } from "./bundle/write-webgpu.ts";
export { ByteCache } from "./cache.ts";
export {
  type Backend,
  type Compiled,
  type CompileOptions,
  compileAlias,
  compileGraph,
  compilerStats,
  ProgramCache,
} from "./compile.ts";
export type { Cost, KernelCost } from "./cost.ts";
export type * from "./dump-types.ts";
export { type Block, Heap, HeapFullError, type HeapOptions } from "./exec/heap.ts";
export { hostImports } from "./exec/host.ts";
export { type Executable, instantiate, Machine } from "./exec/program.ts";
export { inspect } from "./inspection.ts";
export type * from "./inspection-types.ts";
export { hasWebgpu, loadWebgpu } from "./load-webgpu.ts";
export { measurePeaks } from "./peaks.ts";
export { slotsOf } from "./reference.ts";
export { type Bound, type Peaks, roofline } from "./roofline.ts";
export { configureHeap, theMachine } from "./session.ts";
export { slotNames } from "./slot-names.ts";
export { placesText, type StageName, stageNames } from "./stage-text.ts";
export type { PassRecord, Precision } from "./stages.ts";
export { type Stages, stagesOf } from "./stages-of.ts";
export {
  type ClockCost,
  measureClock,
  median,
  type StepEvent,
  type TimedProgram,
  type TimedRun,
  type TimedStep,
  timedProgram,
} from "./timed.ts";
export { isTrap, type TrappedKernel, trappedKernels } from "./trap.ts";
export { DeviceLoss, DeviceMemoryError } from "./webgpu/device-errors.ts";
