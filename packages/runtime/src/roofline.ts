/**
 * The roofline model: what a kernel could reach at best on a machine of which two rates are known. Rates in 1e9 per
 * second.
 */
import type { KernelWork } from "@sinter/ir";

export interface Peaks {
  /** Arithmetic on f32 in registers. */
  readonly gflops: number;
  /** Memory. Kernels whose data lies in caches may be faster than this says. */
  readonly gbs: number;
}

export interface Bound {
  /** What ends first: arithmetic, or memory. */
  readonly by: "compute" | "memory";
  /** The least time. */
  readonly milliseconds: number;
}

/** The least time that work takes at the peaks. */
export function roofline({ flops, bytesRead, bytesWritten }: KernelWork, { gflops, gbs }: Peaks): Bound {
  const compute = flops / gflops / 1e6;
  const memory = (bytesRead + bytesWritten) / gbs / 1e6;
  return compute > memory ? { by: "compute", milliseconds: compute } : { by: "memory", milliseconds: memory };
}
