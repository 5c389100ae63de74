/** What a program costs, from its loops and its plan: no measurement. */
import {
  type BufferDecl,
  bytesOf,
  type Graph,
  type LoopProgram,
  type LoopStep,
  type NestProgram,
  type Plan,
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
}

const scalarElements = 64;

export function costOf({ loops, plan, program }: Made): Cost {
  let flops = 0;
  let bytesRead = 0;
  let bytesWritten = 0;
  let kernels = 0;
  let scalarKernels = 0;
  const visit = (steps: readonly LoopStep[], times: number): void => {
    for (const step of steps) {
      switch (step.kind) {
        case "kernel": {
          const kernel = loops.kernels[step.kernel]!;
          const writes = new Set(kernel.writes);
          flops += kernel.flops * times;
          for (const id of new Set(kernel.buffers)) {
            const bytes = bytesOfDecl(loops.buffers[id]!);
            if (writes.has(id)) bytesWritten += bytes * times;
            else bytesRead += bytes * times;
          }
          const large = kernel.buffers.some((id) => elements(loops.buffers[id]!) > scalarElements);
          if (large) kernels++;
          else scalarKernels++;
          break;
        }
        case "copy": {
          const bytes = bytesOfDecl(loops.buffers[step.to]!);
          bytesRead += bytes * times;
          bytesWritten += bytes * times;
          break;
        }
        case "if":
          for (const branch of step.branches) visit(branch, times);
          break;
        case "for":
          visit(step.body, times * step.count);
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
  return {
    flops,
    bytesRead,
    bytesWritten,
    kernels,
    scalarKernels,
    arenaBytes: plan.arenaBytes,
    peakBytes: plan.arenaBytes + outside,
    codeBytes: program.bytes.length,
  };
}

function elements(decl: BufferDecl): number {
  return decl.shape.reduce<number>((n, d) => n * (typeof d === "number" ? d : d.hi), 1);
}

function bytesOfDecl(decl: BufferDecl): number {
  return elements(decl) * bytesOf(decl.dtype);
}
