/** What a program costs, from its loops and its plan: no measurement. */
import {
  type BufferDecl,
  bytesOf,
  type Graph,
  type LoopKernel,
  type LoopProgram,
  type LoopStep,
  type NestProgram,
  type Plan,
  staticDim,
  type WasmProgram,
} from "@sinter/ir";

/** Everything that was made on the way. */
export interface Made {
  readonly simplified: Graph;
  readonly nests: NestProgram;
  readonly loops: LoopProgram;
  readonly plan: Plan;
  readonly program: WasmProgram;
}

/** One kernel of a program, in the order of execution. */
export interface KernelCost {
  /** Made of the names of the operations that it holds. */
  readonly name: string;
  /** How its loops were arranged. */
  readonly schedule: string;
  readonly flops: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * Work and bytes of a loop are those of one round, times its rounds where their number is known (`scan`); a `while` counts
 * once. Of branches all count. Kernels count once, however often they run.
 */
export interface Cost {
  readonly flops: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Kernels that read or write a buffer of more than 64 elements. */
  readonly kernels: number;
  /** Kernels that touch no more than that. */
  readonly scalarKernels: number;
  readonly arenaBytes: number;
  /** Arena, arguments, constants, states and results together. */
  readonly peakBytes: number;
  readonly codeBytes: number;
  /** Each kernel that `kernels` and `scalarKernels` count. */
  readonly byKernel: readonly KernelCost[];
}

const scalarElements = 64;

export function costOf({ loops, plan, program }: Made): Cost {
  let flops = 0;
  let bytesRead = 0;
  let bytesWritten = 0;
  let kernels = 0;
  const byKernel: KernelCost[] = [];
  const visit = (steps: readonly LoopStep[], times: number): void => {
    for (const step of steps) {
      switch (step.kind) {
        case "kernel": {
          const kernel = loops.kernels[step.kernel]!;
          const cost = kernelCost(kernel, loops.buffers);
          byKernel.push(cost);
          flops += cost.flops * times;
          bytesRead += cost.bytesRead * times;
          bytesWritten += cost.bytesWritten * times;
          if (kernel.buffers.some((id) => elements(loops.buffers[id]!) > scalarElements)) kernels++;
          break;
        }
        case "copy": {
          const bytes = bytesOfDecl(loops.buffers[step.to]!);
          bytesRead += bytes * times;
          bytesWritten += bytes * times;
          break;
        }
        case "host":
        case "swap":
          break;
        case "if":
          for (const branch of step.branches) visit(branch, times);
          break;
        case "for":
          visit(step.body, times * staticDim(step.count));
          break;
        case "while":
          visit(step.test, times);
          visit(step.body, times);
          break;
        default:
          step satisfies never;
      }
    }
  };
  visit(loops.steps, 1);
  const outside = program.slots.reduce(
    (n, slot) => (slot.kind === "arena" || slot.kind === "stateOut" ? n : n + slot.bytes),
    0,
  );
  const arenaBytes = staticDim(plan.arenaBytes);
  return {
    flops,
    bytesRead,
    bytesWritten,
    kernels,
    scalarKernels: byKernel.length - kernels,
    arenaBytes,
    peakBytes: arenaBytes + outside,
    codeBytes: program.bytes.length,
    byKernel,
  };
}

function kernelCost(kernel: LoopKernel, buffers: readonly BufferDecl[]): KernelCost {
  const writes = new Set(kernel.writes);
  const moved = (written: boolean): number =>
    [...new Set(kernel.buffers)].reduce((n, id) => (writes.has(id) === written ? n + bytesOfDecl(buffers[id]!) : n), 0);
  const { name, schedule, flops } = kernel;
  return { name, schedule, flops, bytesRead: moved(false), bytesWritten: moved(true) };
}

function elements(decl: BufferDecl): number {
  return decl.shape.reduce<number>((n, d) => n * (typeof d === "number" ? d : d.hi), 1);
}

function bytesOfDecl(decl: BufferDecl): number {
  return elements(decl) * bytesOf(decl.dtype);
}
