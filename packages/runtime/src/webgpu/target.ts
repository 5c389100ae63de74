/** The target WebGPU: programs for one device, or for what every device has. */
import { emit, emitText, KernelError, type ScheduleOptions, schedule } from "@sinter/codegen-wgsl";
import type { WebgpuFeatures, WebgpuProgram } from "@sinter/ir";
import { kernelNodes, whereIn } from "../stage-text.ts";
import type { LoopStages, Target } from "../target.ts";
import { bytesPerElement } from "./data.ts";

/** What programs are compiled for. */
export interface DeviceKind {
  readonly features: WebgpuFeatures;
  /** Its name. */
  readonly description: string;
}

/** What a schedule for GPUs may be asked for. */
export type WebgpuTargetOptions = ScheduleOptions;

/** What every device has: no optional feature, the default limits of the WebGPU specification. */
export const everyDevice: DeviceKind = {
  description: "every device",
  features: {
    f16: false,
    subgroups: false,
    limits: {
      maxStorageBuffersPerShaderStage: 8,
      maxStorageBufferBindingSize: 128 * 1024 * 1024,
      maxBufferSize: 256 * 1024 * 1024,
      maxComputeWorkgroupStorageSize: 16 * 1024,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupSizeX: 256,
      maxComputeWorkgroupsPerDimension: 65535,
      minStorageBufferOffsetAlignment: 256,
    },
  },
};

/** Where bindings may begin on every device, and what an element takes there. */
const deviceMemory = { alignment: 256, bytesPerElement: () => bytesPerElement };

/** Programs for a device. They throw for what it does not have, such as f64. */
export function webgpuTarget(
  { features, description }: DeviceKind,
  options: WebgpuTargetOptions = {},
): Target<WebgpuProgram> {
  const { f16, subgroups, limits } = features;
  const buffers = `${limits.maxStorageBuffersPerShaderStage} buffers a shader`;
  const half = options.precision === "f16" ? "products of f16" : "f16";
  const has = [...(subgroups ? ["subgroups"] : []), ...(f16 ? [half] : []), buffers].join(", ");
  const name = `webgpu for ${description} (${has})`;
  return {
    backend: "webgpu",
    name,
    language: "wgsl",
    fusion: { buffers: buffersOf(features) },
    memory: deviceMemory,
    schedule: (nests) => schedule(nests, features, options),
    emit: (stages) => emitLocated(stages, features),
    text({ loops, program }, comments) {
      const text = emitText(program, loops, comments);
      return { ...text, module: `// ${program.name}, ${name}\n${text.module}` };
    },
  };
}

/** Buffers that fusion may give to a kernel: beside them there may be a gate, and scratch. */
export function buffersOf({ limits }: WebgpuFeatures): number {
  return limits.maxStorageBuffersPerShaderStage - 2;
}

/** The program. An error about a kernel says where that was written. */
function emitLocated({ simplified, loops, plan }: LoopStages, features: WebgpuFeatures): WebgpuProgram {
  try {
    return emit(loops, plan, features);
  } catch (error) {
    if (!(error instanceof KernelError) || error.kernel === undefined) throw error;
    const where = whereIn(simplified)(kernelNodes(loops)[error.kernel]!);
    if (where !== "") error.message += ` (${where})`;
    throw error;
  }
}
