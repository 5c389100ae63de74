/** What a device can do, as compilers ask, and what its adapter is called. */
import type { WebgpuFeatures, WebgpuLimits } from "@sinter/ir/program";

/** Limits that programs depend on. */
export const limitNames = [
  "maxStorageBuffersPerShaderStage",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupsPerDimension",
  "minStorageBufferOffsetAlignment",
] as const satisfies readonly (keyof WebgpuLimits)[];

/** What code for a device may use. */
export function featuresOf({ features, limits, adapterInfo }: GPUDevice): WebgpuFeatures {
  const subgroupMinSize = adapterInfo?.subgroupMinSize ?? 0;
  return {
    f16: features.has("shader-f16"),
    subgroups: features.has("subgroups"),
    ...(subgroupMinSize > 0 ? { subgroupMinSize } : {}),
    limits: Object.fromEntries(limitNames.map((name) => [name, limits[name]])) as unknown as WebgpuLimits,
  };
}

/** `nvidia ampere: NVIDIA RTX A2000`, as far as the adapter tells. */
export function describe(info: GPUAdapterInfo | undefined): string {
  const { vendor = "", architecture = "", device = "", description = "" } = info ?? {};
  const kind = [vendor, architecture].filter((part) => part !== "").join(" ");
  const name = description === "" ? device : description;
  return [kind, name].filter((part) => part !== "").join(": ") || "a GPU that does not tell its name";
}
