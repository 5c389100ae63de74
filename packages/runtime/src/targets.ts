/** Which target a backend stands for. */
import { loadedWebgpu } from "./load-webgpu.ts";
import type { CompileOptions } from "./stages.ts";
import type { Target } from "./target.ts";
import { wasmTarget } from "./wasm-target.ts";
import type { DeviceKind } from "./webgpu/target.ts";

/**
 * What programs for a backend are compiled for; the reference evaluator, which compiles nothing, shows what wasm would
 * be given. `device`: that of webgpu; without one it is every device. Throws for webgpu before its compiler is loaded.
 */
export function targetOf(options: CompileOptions, device?: DeviceKind): Target {
  if (options.backend !== "webgpu") return wasmTarget(options);
  const { everyDevice, webgpuTarget } = loadedWebgpu();
  return webgpuTarget(device ?? everyDevice, options);
}
