/** What a program costs, from its loops and its plan: no measurement. */
import {
  bodiesOf,
  bytesOfBuffer,
  type Graph,
  type KernelWork,
  type LoopProgram,
  type LoopStep,
  type NestProgram,
  symIndex,
  typicalDim,
  visitSteps,
  workOfKernel,
} from "@sinter/ir";
import type { Made, Program, Target } from "./target.ts";

/** One kernel of a program: what one run of it does. */
export interface KernelCost extends KernelWork {
  /** Made of the names of the operations that it holds. */
  readonly name: string;
  /** How its loops were arranged. */
  readonly schedule: string;
  /** Flops for each byte that it reads or writes; 0 where it moves none. */
  readonly intensity: number;
  /** How often it runs in one call; null inside a `while`, where only data says. Branches count as if taken. */
  readonly runs: number | null;
}

/**
 * Work and bytes of a loop are those of one round, times its rounds where their number is known (`scan`); a `while` counts
 * once. Of branches all count.
 */
export interface Cost extends KernelWork {
  /** Kernels that read or write a buffer of more than 64 elements; each once, however often it runs. */
  readonly kernels: number;
  /** Kernels that touch no more than that. */
  readonly scalarKernels: number;
  readonly arenaBytes: number;
  /** Arena, arguments, constants, states and results together. */
  readonly peakBytes: number;
  /** Of the module, or of the text of all shaders. */
  readonly codeBytes: number;
  /** On webgpu: how many a call makes of its kernels, loops as for their work. */
  readonly dispatches?: number;
  /** What symbolic sizes were taken for, by name; undefined where there are none. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Each kernel that `kernels` and `scalarKernels` count, in the order of execution. */
  readonly byKernel: readonly KernelCost[];
}

const scalarElements = 64;

export function costOf({ simplified, nests, loops, program, target }: Made): Cost {
  const total = { flops: 0, bytesRead: 0, bytesWritten: 0 };
  const byKernel: KernelCost[] = [];
  const works = kernelWorks(nests, loops, target);
  let dispatches = 0;
  const add = (work: KernelWork, times: number): void => {
    total.flops += work.flops * times;
    total.bytesRead += work.bytesRead * times;
    total.bytesWritten += work.bytesWritten * times;
  };
  /** `times`: rounds of the loops around whose number is known. `counted`: all loops around are such. */
  const visit = (steps: readonly LoopStep[], times: number, counted: boolean): void => {
    for (const step of steps) {
      if (step.kind === "kernel") {
        const { name, schedule, grids } = loops.kernels[step.kernel]!;
        const work = works[step.kernel]!;
        add(work, times);
        dispatches += times * (grids?.length ?? 0);
        byKernel.push({ name, schedule, ...work, intensity: intensityOf(work), runs: counted ? times : null });
      } else if (step.kind === "copy") add(copyWork(loops, step, target), times);
      const rounds = step.kind === "for" ? typicalDim(step.count) : 1;
      for (const body of bodiesOf(step)) visit(body, times * rounds, counted && step.kind !== "while");
    }
  };
  visit(loops.steps, 1, true);
  const isLarge = (id: number): boolean => {
    const { shape } = loops.buffers[id]!;
    return shape.reduce<number>((n, d) => n * (typeof d === "number" ? d : d.hi), 1) > scalarElements;
  };
  const kernels = loops.kernels.filter((kernel) => kernel.buffers.some(isLarge)).length;
  const outside = program.slots.reduce(
    (n, slot) => (slot.kind === "arena" || slot.kind === "stateOut" ? n : n + typicalDim(slot.bytes)),
    0,
  );
  const arenaBytes = typicalDim(program.arenaBytes);
  return {
    ...total,
    kernels,
    scalarKernels: loops.kernels.length - kernels,
    arenaBytes,
    peakBytes: arenaBytes + outside,
    codeBytes: codeBytes(program),
    ...(program.kind === "webgpu" ? { dispatches } : {}),
    ...(simplified.syms.length === 0 ? {} : { sizes: typicalSizes(simplified) }),
    byKernel,
  };
}

function typicalSizes({ syms }: Graph): Readonly<Record<string, number>> {
  return Object.fromEntries(syms.map((sym) => [sym.name, typicalDim(symIndex(sym))]));
}

/** Of the module, or of all shaders. */
function codeBytes(program: Program): number {
  if (program.kind === "wasm") return program.bytes.length;
  return program.shaders.reduce((n, { code }) => n + code.length, 0);
}

/** What one run of each kernel does, by its number. */
export function kernelWorks(nests: NestProgram, { buffers }: LoopProgram, { memory }: Target): KernelWork[] {
  const out: KernelWork[] = [];
  visitSteps(nests.steps, (step) => {
    if (step.kind === "kernel") out.push(workOfKernel(step.kernel, buffers, memory.bytesPerElement));
  });
  return out;
}

/** What a copy of one buffer to another moves. */
export function copyWork({ buffers }: LoopProgram, { to }: { readonly to: number }, { memory }: Target): KernelWork {
  const bytes = bytesOfBuffer(buffers[to]!, memory.bytesPerElement);
  return { flops: 0, bytesRead: bytes, bytesWritten: bytes };
}

function intensityOf({ flops, bytesRead, bytesWritten }: KernelWork): number {
  const bytes = bytesRead + bytesWritten;
  return bytes === 0 ? 0 : flops / bytes;
}
