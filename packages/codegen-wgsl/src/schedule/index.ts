/** NestProgram to LoopProgram for GPUs: picks a schedule for each kernel by its structure. */
import type {
  BufferDecl,
  HostCall,
  Kernel,
  LoopKernel,
  LoopProgram,
  LoopStep,
  NestKernel,
  NestProgram,
  NestStep,
  WebgpuFeatures,
} from "@sinter/ir";
import { genericKernel } from "./generic.ts";
import { libraryKernel } from "./library.ts";
import { mapKernel } from "./map.ts";
import { productKernel } from "./product.ts";
import { reduceKernel } from "./reduce.ts";
import { rowsKernel } from "./rows.ts";
import { scanKernel } from "./scan.ts";
import { nestByNest } from "./sequence.ts";
import { updateKernel } from "./update.ts";

export interface ScheduleOptions {
  /** One thread for each point and no group memory where that can be: the oracle that the other schedules are tested against. */
  readonly generic?: boolean;
}

/** Every kernel gets grids. */
export function schedule(program: NestProgram, target: WebgpuFeatures, options: ScheduleOptions = {}): LoopProgram {
  const kernels: LoopKernel[] = [];
  const calls: HostCall[] = [];
  const pick = scheduler(target, options.generic ?? false);
  const steps = (list: readonly NestStep[]): LoopStep[] => list.map(step);
  const step = (s: NestStep): LoopStep => {
    switch (s.kind) {
      case "kernel":
        return { kind: "kernel", kernel: kernels.push(pick(s.kernel, program.buffers)) - 1, nodes: s.nodes };
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
  return { name: program.name, buffers: program.buffers, steps: steps(program.steps), kernels, calls };
}

/** A schedule for kernels of some structure; undefined for all others. */
type Scheduler = (kernel: NestKernel, decls: readonly BufferDecl[], target: WebgpuFeatures) => LoopKernel | undefined;

/** Of kernels with several nests or outer axes, first come first. */
const ofRows: readonly Scheduler[] = [rowsKernel];
/** Of kernels with one nest, first come first. */
const ofOne: readonly Scheduler[] = [scanKernel, updateKernel, mapKernel, productKernel, reduceKernel];

function scheduler(
  target: WebgpuFeatures,
  generic: boolean,
): (kernel: Kernel, decls: readonly BufferDecl[]) => LoopKernel {
  const first = (
    list: readonly Scheduler[],
    kernel: NestKernel,
    decls: readonly BufferDecl[],
  ): LoopKernel | undefined => {
    if (generic) return undefined;
    for (const schedule of list) {
      const made = schedule(kernel, decls, target);
      if (made !== undefined) return made;
    }
    return undefined;
  };
  const one = (kernel: NestKernel, decls: readonly BufferDecl[]): LoopKernel =>
    first(ofOne, kernel, decls) ?? genericKernel(kernel, decls);
  return (kernel, decls) => {
    if (kernel.kind === "library") return libraryKernel(kernel, generic);
    if (kernel.nests.length === 1 && kernel.outer.length === 0) return one(kernel, decls);
    return first(ofRows, kernel, decls) ?? nestByNest(kernel, decls, one);
  };
}
