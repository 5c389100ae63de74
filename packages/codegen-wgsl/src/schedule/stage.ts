/**
 * One function of a grid under construction, where row buffers may lie in a local variable, in memory of the group, of
 * the thread, or in scratch. All functions of a kernel declare the same pointers, so that every grid takes the same.
 */
import type {
  BufferDecl,
  BufferId,
  Dim,
  LoopExpr,
  LoopKernel,
  LoopPointer,
  LoopVar,
  NestKernel,
  ScalarType,
  ScratchDecl,
  WebgpuFeatures,
} from "@sinter/ir";
import { loop, scaleIndex, sizeOf, toDim, typicalDim } from "@sinter/ir";
import {
  type KernelBuffers,
  KernelFunc,
  type KernelMemory,
  type KernelScope,
  kernelBuffers,
  Levels,
} from "@sinter/ir/schedule";
import { elementBytes, gridParams, kernelFrame } from "./threads.ts";

/** Scratch of a kernel: partial results, or a row buffer that does not fit closer to the threads. */
export interface ScratchPlan {
  readonly name: string;
  readonly dtype: ScalarType;
  readonly elements: Dim;
  readonly row?: BufferId;
}

/** Where a row buffer is. `local`: one value that every thread of the group holds. */
export type RowPlace = "local" | "workgroup" | "private" | "scratch";

/** What all functions of a kernel share. `decls` are those of the row buffers as they lie in scratch. */
export interface KernelContext {
  readonly kernel: NestKernel;
  readonly decls: readonly BufferDecl[];
  readonly used: KernelBuffers;
  readonly rows: ReadonlyMap<BufferId, RowPlace>;
  readonly scratch: ScratchPlan[];
}

export function openContext(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  rows: ReadonlyMap<BufferId, RowPlace> = new Map(),
  /** The declarations of row buffers in scratch, which hold all rows. */
  spread: readonly BufferDecl[] = decls,
): KernelContext {
  const used = kernelBuffers(kernel, decls);
  const scratch = used.rows
    .filter((id) => rows.get(id) === "scratch")
    .map((id) => {
      const { name, dtype, shape } = spread[id]!;
      return { name, dtype, elements: sizeOf(shape), row: id };
    });
  return { kernel, decls: spread, used, rows, scratch };
}

/** A row's part of a group: so many neighbouring threads. */
export interface RowShare {
  readonly threads: number;
  /** Which of them this one is. */
  readonly lane: LoopExpr;
  /** Whether there is such a row. Threads without one do as the last row's do, and store nothing that others see. */
  readonly valid: LoopExpr;
}

/** A function that each thread of a grid runs. */
export class Stage {
  readonly of: KernelFunc;
  readonly levels: Levels;
  readonly memory: KernelMemory;
  readonly group: LoopExpr;
  readonly thread: LoopExpr;
  /** One for each entry of the context's scratch. */
  readonly scratch: readonly LoopPointer[];
  /** Level of the innermost outer axis: what nests of the kernel write may not be read further out. */
  rowLevel = 0;
  /** The threads that a row has, where several rows share the group. */
  share: RowShare | undefined;

  constructor(context: KernelContext, name: string) {
    const { decls, used, rows } = context;
    this.of = new KernelFunc(name, decls, { ...used, rows: [] }, gridParams);
    const [group, thread] = this.of.params as readonly [LoopExpr, LoopExpr];
    this.group = group;
    this.thread = thread;
    const { func, memory } = this.of;
    this.scratch = context.scratch.map((s) => func.pointer(s.name, s.dtype, "scratch"));
    this.levels = new Levels(func, this.of.syms);
    const pointers = new Map<BufferId, LoopPointer>();
    const locals = new Map<BufferId, LoopVar>();
    for (const [i, s] of context.scratch.entries()) if (s.row !== undefined) pointers.set(s.row, this.scratch[i]!);
    for (const id of used.rows) {
      const { name: row, dtype, shape } = decls[id]!;
      const place = rows.get(id);
      if (place === "local") locals.set(id, func.local(row, loop.constant(dtype, 0)));
      else if (place === "workgroup" || place === "private")
        pointers.set(id, func.array(row, dtype, typicalDim(sizeOf(shape)), place));
    }
    this.memory = {
      pointer: (id) => pointers.get(id) ?? memory.pointer(id),
      local: (id) => locals.get(id),
      size: memory.size,
      isRow: (id) => rows.has(id) || memory.isRow(id),
    };
  }

  get func(): loop.FuncBuilder {
    return this.of.func;
  }

  get scope(): KernelScope {
    return { levels: this.levels, memory: this.memory, rowLevel: this.rowLevel };
  }

  /** Which of the threads of its row this one is. */
  get lane(): LoopExpr {
    return this.share?.lane ?? this.thread;
  }

  /** The end of a loop over the threads of a row: threads without a row have nothing to do. */
  end(size: LoopExpr): LoopExpr {
    if (this.share === undefined) return size;
    return this.func.let("end", loop.select(this.share.valid, size, loop.i32(0)));
  }

  /** Runs `then` in one thread of each row. */
  once(then: () => void): void {
    const first = loop.eq(this.lane, loop.i32(0));
    this.when(this.share === undefined ? first : loop.and(first, this.share.valid), then);
  }

  /** Runs `then` in a branch of its own; values bound there are not found outside. */
  when(test: LoopExpr, then: () => void): void {
    this.func.if(test, () => this.levels.scope(then));
  }
}

/** A kernel of the functions that its grids run, in order. */
export function finishKernel(
  context: KernelContext,
  original: { readonly kernel: NestKernel; readonly decls: readonly BufferDecl[] },
  grids: readonly { readonly stage: Stage; readonly groups: Dim; readonly threads: number }[],
  schedule: string,
): LoopKernel {
  const { used } = context;
  const funcs = grids.map((g) => g.stage.func.finish());
  const scratch: ScratchDecl[] = context.scratch.map((s, i) => ({
    pointer: grids[0]!.stage.scratch[i]!,
    bytes: toDim(scaleIndex(s.elements, elementBytes)),
  }));
  return {
    ...kernelFrame(original.kernel, original.decls, used),
    funcs,
    grids: grids.map(({ groups, threads }, i) => ({ func: funcs[i]!.name, groups, threads })),
    scratch,
    schedule,
  };
}

/** The largest power of two that is not above `n`, and at least 1. */
export function powerBelow(n: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, n)));
}

/** The least power of two that is not below `n`. */
export function powerAbove(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}

/** Threads of a group that a schedule may ask for. */
export function mostThreads({ limits }: WebgpuFeatures): number {
  return powerBelow(Math.min(256, limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX));
}
