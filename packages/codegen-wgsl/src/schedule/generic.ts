/** One thread for each point of the par axes, which runs the rest in order: the fallback and the oracle of the others. */
import { type BufferDecl, type LoopKernel, type NestKernel, sizeOf } from "@sinter/ir";
import { emitNest, KernelFunc, kernelBuffers, Levels, prepareNest } from "@sinter/ir/schedule";
import { atPoint, eachThread, gridParams, groupsFor, kernelFrame, threadsFor } from "./threads.ts";

/** Takes kernels of one nest: sequence.ts makes such of all others. */
export function genericKernel(kernel: NestKernel, decls: readonly BufferDecl[]): LoopKernel {
  const used = kernelBuffers(kernel, decls);
  const prepared = prepareNest(kernel.nests[0]!, decls, { generic: true });
  const { nest } = prepared.pieces[0]!;
  const par = nest.axes.filter((a) => a.kind === "par");
  const rest = { nest: { ...nest, axes: nest.axes.filter((a) => a.kind !== "par") }, along: undefined };
  const points = sizeOf(par.map((a) => a.extent));
  const threads = threadsFor(points);
  const of = new KernelFunc(kernel.name, decls, used, gridParams);
  eachThread(of, points, threads, (point) => {
    const levels = new Levels(of.func, of.syms);
    atPoint(levels, par, point, () => {
      emitNest({ levels, memory: of.memory, rowLevel: 0 }, { ...prepared, pieces: [rest] });
    });
  });
  return {
    ...kernelFrame(kernel, decls, used),
    funcs: [of.func.finish()],
    scratch: [],
    grids: [{ func: kernel.name, groups: groupsFor(points, threads), threads }],
    schedule: "generic",
  };
}
