/** NestProgram to LoopProgram for GPUs: picks a schedule for each kernel by its structure. */
import type { LoopProgram, NestProgram, WebgpuFeatures } from "@sinter/ir";

export interface ScheduleOptions {
  /** One thread for each point and no group memory where that can be: the oracle that the other schedules are tested against. */
  readonly generic?: boolean;
}

export function schedule(_program: NestProgram, _target: WebgpuFeatures, _options: ScheduleOptions = {}): LoopProgram {
  throw new Error("not there yet");
}
