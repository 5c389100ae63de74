/** What schedules for GPUs have in common: a thread per point, and which point that is. */
import {
  type Axis,
  type BufferDecl,
  type Dim,
  flopsOf,
  isMultiple,
  type LoopExpr,
  type LoopKernel,
  loop,
  type NestKernel,
  typicalDim,
} from "@sinter/ir";
import { aliasablePairs, ceilDiv, type KernelBuffers, type KernelFunc, type Levels } from "@sinter/ir/schedule";

/** Bytes of an element on the device, whatever its dtype. */
export const elementBytes = 4;

/** Threads of a group where nothing is shared between them: two subgroups or more on every device. */
export const usualThreads = 64;

/** What a function of a grid takes before the symbolic sizes. */
export const gridParams = ["group", "thread"] as const;

/** All of a kernel but its functions. */
export function kernelFrame(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  used: KernelBuffers,
): Omit<LoopKernel, "funcs" | "scratch" | "schedule"> {
  return {
    name: kernel.name,
    buffers: used.buffers,
    writes: used.writes,
    ...(used.syms.length > 0 ? { syms: used.syms } : {}),
    aliasable: aliasablePairs(kernel, decls),
    flops: flopsOf(kernel),
  };
}

/** Threads of a group that together have about this many to run. */
export function threadsFor(points: Dim): number {
  return typicalDim(points) <= 32 ? 32 : usualThreads;
}

/** Groups of `threads` threads, one for each point. */
export const groupsFor = (points: Dim, threads: number): Dim => ceilDiv(points, threads);

/** Runs `body` with the point of this thread, in threads that have one. All threads leave it again. */
export function eachThread(of: KernelFunc, points: Dim, threads: number, body: (point: LoopExpr) => void): void {
  const [group, thread] = of.params as readonly [LoopExpr, LoopExpr];
  const point = of.func.let("point", loop.add(loop.mul(group, loop.i32(threads)), thread));
  if (isMultiple(points, threads)) body(point);
  else of.func.if(loop.lt(point, of.size(points)), () => body(point));
}

/** Binds axes (outermost first) so that together they stand at `point`, counted row-major, while `body` runs. */
export function atPoint(levels: Levels, axes: readonly Axis[], point: LoopExpr, body: () => void): void {
  const values: LoopExpr[] = [];
  let rest = point;
  for (const [i, a] of [...axes.entries()].reverse()) {
    const size = levels.size(a.extent);
    values[i] = i === 0 ? rest : levels.func.let(a.name, loop.floorMod(rest, size));
    if (i > 0) rest = levels.func.let("rest", loop.floorDiv(rest, size));
  }
  const bind = (i: number): void =>
    i === axes.length ? body() : levels.inside(axes[i]!, values[i]!, () => bind(i + 1));
  bind(0);
}
