/** Tensors, tracing, variables, gradients: what a user of Sinter calls. */
import { runScope } from "./scope.ts";
import { handlesIn } from "./trees.ts";
import "./methods.ts";

export {
  type AsyncProgram,
  type AsyncVariable,
  BundleError,
  type BundleSource,
  type OpenOptions as LoadOptions,
  type Program,
} from "@sinter/runtime";
export { currentBackend, listBackends, setBackend } from "./backend.ts";
export { assert } from "./control/assert.ts";
export { cond, switchCase } from "./control/cond.ts";
export { fori, type WhileOptions, whileLoop } from "./control/loops.ts";
export { Range, range } from "./control/range.ts";
export { type ScanOptions, scan } from "./control/scan.ts";
export type { Like, Tensors } from "./control/values.ts";
export { type CheckpointOptions, checkpoint, customVjp } from "./custom.ts";
export {
  BoundsError,
  type Difference,
  type FailureDetails,
  NonFiniteError,
  TrapError,
  VerifyError,
} from "./debug/errors.ts";
export { type Derivative, hessian, jacfwd, jacrev, jvp, linearize, vjp } from "./derivatives.ts";
export { eagerStats } from "./eager.ts";
export { withEager } from "./eager-mode.ts";
export { type HostResult, type HostTensors, hostCall } from "./effects/host-call.ts";
export { print } from "./effects/print.ts";
export { setPrintSink } from "./effects/run.ts";
export {
  AssertionError,
  DeviceLostError,
  DisposedError,
  DTypeError,
  ExportError,
  OutOfMemoryError,
  ShapeError,
  SinterError,
  TraceError,
} from "./errors.ts";
export { evalShape } from "./eval-shape.ts";
export {
  type BundleOptions,
  bundleFiles,
  type Described,
  type Exported,
  type ExportOptions,
  exportBundle,
  type Inputs,
} from "./export/bundle.ts";
export { loadBundle } from "./export/load-bundle.ts";
export {
  type LoadedVariables,
  loadModel,
  modelToFiles,
  type SaveModelOptions,
  saveModel,
} from "./export/model.ts";
export {
  type LoadedWeights,
  type LoadWeightsOptions,
  loadWeights,
  saveWeights,
  weightsToBytes,
} from "./export/weights.ts";
export { VariableCell } from "./frame.ts";
export { type CompiledFunction, compile, type FunctionOptions } from "./function.ts";
export { fromGPUBuffer } from "./gpu/from-buffer.ts";
export type * from "./image-options.ts";
export * from "./lib/index.ts";
export { Lowered } from "./lowered.ts";
export { type MemoryReport, memory } from "./memory.ts";
export { methodNames } from "./methods.ts";
export { type ProfileOptions, profile, profileAsync } from "./profile/index.ts";
export type { ChromeEvent, ChromeTrace, KernelProfile, Profile } from "./profile/profile.ts";
export * as random from "./random.ts";
export { gpuDevice, type ReadyOptions, ready } from "./ready.ts";
export { Spec, spec } from "./spec.ts";
export { type NestedArray, Tensor, type TensorLike } from "./tensor.ts";
export type { TensorMethods } from "./tensor-methods.ts";
export type { Nested } from "./text.ts";
export {
  type Gradient,
  type GradOptions,
  grad,
  gradients,
  type LossGradients,
  stopGradient,
  valueAndGrad,
} from "./transforms.ts";
export { Variable, type VariableOptions, variable } from "./variable.ts";
export { type Axes, type VmapOptions, vmap } from "./vmap.ts";

/** Runs `body` and frees every handle made inside, except those in what it returns (a tree of tensors). */
export function scope<T>(body: () => T): T {
  return runScope(body, handlesIn);
}
