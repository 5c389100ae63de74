/** Finds a GPU: the browser's, or in Node that of the optional package `webgpu`. */
import { limitNames } from "./features.ts";

interface Dawn {
  create(flags: readonly string[]): GPU;
}

/**
 * Memory of a group starts as zeros. By default Dawn leaves that to Vulkan drivers as a constant initialiser, which
 * SwiftShader writes out word by word into the code of a kernel: seven eighths of the time that a tiled product takes to
 * compile there. Off, the threads of a group clear it in a loop, which costs a real GPU the same.
 */
const dawnFlags: readonly string[] = [
  `disable-dawn-features=${["use_vulkan_zero_initialize_workgroup_memory_extension", "timestamp_quantization"].join()}`,
];

/** Node's. It stays: an implementation that is collected takes its devices with it. */
let ofNode: Promise<GPU> | undefined;

/** A device with all that its adapter can do, and the adapter's name. Rejects with what is missing. */
export async function requestDevice(): Promise<{ readonly device: GPUDevice; readonly info: GPUAdapterInfo }> {
  const gpu = await findGpu();
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null)
    throw new Error(
      isNode()
        ? "webgpu: there is no adapter: this machine has no GPU whose driver WebGPU can use (on Linux a Vulkan driver; " +
            "VK_ICD_FILENAMES may name one)"
        : "webgpu: there is no adapter: this machine has no GPU, or the browser does not use its driver",
    );
  const wanted = ["shader-f16", "subgroups", "timestamp-query"] as const;
  const device = await adapter.requestDevice({
    label: "sinter",
    requiredFeatures: wanted.filter((name) => adapter.features.has(name)),
    requiredLimits: Object.fromEntries(limitNames.map((name) => [name, adapter.limits[name]])),
  });
  return { device, info: adapter.info };
}

function isNode(): boolean {
  const { process } = globalThis as { readonly process?: { readonly versions?: { readonly node?: string } } };
  return process?.versions?.node !== undefined;
}

async function findGpu(): Promise<GPU> {
  const own = (globalThis as { readonly navigator?: { readonly gpu?: GPU } }).navigator?.gpu;
  if (own !== undefined && own !== null) return own;
  if (!isNode())
    throw new Error("webgpu: this browser or worker has no navigator.gpu (pages need https or localhost for it)");
  ofNode ??= loadDawn();
  try {
    return await ofNode;
  } catch (error) {
    ofNode = undefined;
    throw error;
  }
}

async function loadDawn(): Promise<GPU> {
  // A name that no bundler follows: the package is there only where somebody installed it.
  const name = ["web", "gpu"].join("");
  let dawn: Dawn;
  try {
    dawn = (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as Dawn;
  } catch (cause) {
    const missing = (cause as { readonly code?: string }).code === "ERR_MODULE_NOT_FOUND";
    const why = missing ? "is not installed" : `cannot be loaded (${cause instanceof Error ? cause.message : cause})`;
    throw new Error(`webgpu: the package "webgpu" ${why}: in Node it is what WebGPU needs (npm install webgpu)`, {
      cause,
    });
  }
  return dawn.create(dawnFlags);
}
