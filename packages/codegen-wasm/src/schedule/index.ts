/** NestProgram to LoopProgram: picks a schedule for each kernel by its structure. */

import type { HostCall, LoopKernel, LoopProgram, LoopStep, NestProgram, NestStep, WasmFeatures } from "@sinter/ir";
import { productOf } from "@sinter/ir/schedule";
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
  const kernels: LoopKernel[] = [];
  const calls: HostCall[] = [];
  const generic = options.generic ?? false;
  const steps = (list: readonly NestStep[]): LoopStep[] => list.map(step);
  const step = (s: NestStep): LoopStep => {
    switch (s.kind) {
      case "kernel":
        kernels.push(kernel(s.kernel));
        return { kind: "kernel", kernel: kernels.length - 1, nodes: s.nodes };
      case "host":
        return { ...s, call: calls.push(s.call) - 1 };
      case "copy":
      case "swap":
        return s;
      case "if":
        return { kind: "if", index: s.index, branches: s.branches.map(steps) };
      case "for":
        return { kind: "for", count: s.count, counter: s.counter, body: steps(s.body) };
      case "while":
        return { kind: "while", test: steps(s.test), predicate: s.predicate, body: steps(s.body) };
      default:
        return s satisfies never;
    }
  };
  const kernel = (k: (NestStep & { kind: "kernel" })["kernel"]): LoopKernel => {
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
  };
  return { name: program.name, buffers: program.buffers, steps: steps(program.steps), kernels, calls };
}
