/** Passes: functions from IR to IR. Simplification, autodiff, batching, fusion, memory planning. */
export { DifferentiationError } from "./calculus.ts";
export { mayNotEnd } from "./control/guard.ts";
export { type NormaliseOptions, normaliseRegions } from "./control/normalise.ts";
export {
  atSite,
  isLoop,
  loopsAround,
  poisonDead,
  roundBehind,
  settled,
  type Watched,
  type WatchSite,
  watch,
} from "./debug/index.ts";
export { callsHost, computedAgain, userCallOf } from "./effects.ts";
export { type ElementLoopOptions, findElementLoops } from "./element-loop/index.ts";
export { type LowerOptions, lower } from "./fuse/index.ts";
export { type GradOptions, gradGraph, type VjpOptions, type VjpResult, vjpInto } from "./grad.ts";
export { inlineCalls } from "./inline.ts";
export { type JvpResult, jvpInto } from "./jvp.ts";
export { type PlanOptions, planMemory, verifyPlan } from "./plan/index.ts";
export { type SimplifyOptions, simplify } from "./simplify.ts";
export { BatchingError, placeBatchAxis, type VmapResult, vmapInto } from "./vmap.ts";
