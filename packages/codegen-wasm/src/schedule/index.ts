/** NestProgram to LoopProgram: picks a schedule for each kernel by its structure. */
import type { LoopKernel, LoopProgram, NestProgram, WasmFeatures } from "@sinter/ir";
import { productOf, scheduleSteps } from "@sinter/ir/schedule";
import { scheduleProduct } from "./gemm.ts";
import { scheduleNests } from "./kernel.ts";

export interface ScheduleOptions {
  /** Naive scalar loops for everything: the oracle that the other schedules are tested against. */
  readonly generic?: boolean;
  /** Work of one chunk of a kernel, in multiplications. Tests make it small, so that small kernels have many chunks. */
  readonly chunkWork?: number;
}

/** The target is part of the contract between layers; no schedule depends on a feature of it so far. */
export function schedule(program: NestProgram, _target: WasmFeatures, options: ScheduleOptions = {}): LoopProgram {
  const generic = options.generic ?? false;
  return scheduleSteps(program, (k): LoopKernel => {
    if (k.kind === "library")
      return {
        ...k.loops,
        name: k.name,
        buffers: k.args,
        writes: k.writes,
        aliasable: [],
        schedule: "library",
      };
    const product = generic ? undefined : productOf(k, program.buffers);
    if (product) return scheduleProduct(k, product, program.buffers);
    return scheduleNests(k, program.buffers, { ...options, generic });
  });
}
