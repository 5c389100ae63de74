/** NestProgram to LoopProgram for GPUs: picks a schedule for each kernel by its structure. */
import type {
  Axis,
  BufferDecl,
  Kernel,
  LoopKernel,
  LoopProgram,
  NestKernel,
  NestProgram,
  WebgpuFeatures,
} from "@sinter/ir";
import { scheduleSteps } from "@sinter/ir/schedule";
import { genericKernel } from "./generic.ts";
import { libraryKernel } from "./library.ts";
import { mapKernel } from "./map.ts";
import { type ProductChoice, productKernel } from "./product.ts";
import { reduceKernel } from "./reduce.ts";
import { rowsKernel } from "./rows.ts";
import { scanKernel } from "./scan.ts";
import { nestByNest } from "./sequence.ts";
import { updateKernel } from "./update.ts";

export interface ScheduleOptions {
  /** One thread for each point and no group memory where that can be: the oracle that the other schedules are tested against. */
  readonly generic?: boolean;
  /** How matrix products are cut: for measuring what each way costs on a device. */
  readonly product?: ProductChoice;
  /** `f16`: operands of tiled products are rounded to f16 where the device has it. Sums stay f32. Default: f32. */
  readonly precision?: "f32" | "f16";
}

/** Every kernel gets grids. */
export function schedule(program: NestProgram, target: WebgpuFeatures, options: ScheduleOptions = {}): LoopProgram {
  const f16 = target.f16 && options.precision === "f16";
  const pick = scheduler({ ...target, f16 }, options);
  return scheduleSteps(program, (kernel) => pick(kernel, program.buffers));
}

/** A schedule for kernels of some structure; undefined for all others. */
type Scheduler = (kernel: NestKernel, decls: readonly BufferDecl[], target: WebgpuFeatures) => LoopKernel | undefined;

/** Of kernels with several nests or outer axes, first come first. */
const ofRows: readonly Scheduler[] = [rowsKernel];
/** Of kernels with one nest, first come first. */
const ofOne = ({ product }: ScheduleOptions): readonly Scheduler[] => [
  scanKernel,
  updateKernel,
  mapKernel,
  (kernel, decls, target) => productKernel(kernel, decls, target, product),
  reduceKernel,
];

function scheduler(
  target: WebgpuFeatures,
  options: ScheduleOptions,
): (kernel: Kernel, decls: readonly BufferDecl[]) => LoopKernel {
  const { generic = false } = options;
  const single = ofOne(options);
  const first = (
    list: readonly Scheduler[],
    kernel: NestKernel,
    decls: readonly BufferDecl[],
  ): LoopKernel | undefined => {
    // Without a point there is nothing to cut, and group memory of no elements does not compile.
    if (generic || hasNoPoints(kernel)) return undefined;
    for (const schedule of list) {
      const made = schedule(kernel, decls, target);
      if (made !== undefined) return made;
    }
    return undefined;
  };
  const one = (kernel: NestKernel, decls: readonly BufferDecl[]): LoopKernel =>
    first(single, kernel, decls) ?? genericKernel(kernel, decls);
  return (kernel, decls) => {
    if (kernel.kind === "library") return libraryKernel(kernel, generic);
    if (kernel.nests.length === 1 && kernel.outer.length === 0) return one(kernel, decls);
    return first(ofRows, kernel, decls) ?? nestByNest(kernel, decls, one);
  };
}

/** Whether no nest of the kernel has a point. */
function hasNoPoints({ nests, outer }: NestKernel): boolean {
  const empty = ({ extent }: Axis): boolean => extent === 0;
  return outer.some(empty) || nests.every(({ axes }) => axes.some((axis) => axis.kind === "par" && empty(axis)));
}
