// What code for GPUs may use on every device.
import type { WebgpuFeatures } from "@sinter/ir";

/** The default limits of the WebGPU specification. */
export const leastFeatures: WebgpuFeatures = {
  f16: false,
  subgroups: false,
  limits: {
    maxStorageBuffersPerShaderStage: 8,
    maxStorageBufferBindingSize: 1 << 27,
    maxBufferSize: 1 << 28,
    maxComputeWorkgroupStorageSize: 1 << 14,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupsPerDimension: 65535,
    minStorageBufferOffsetAlignment: 256,
  },
};
