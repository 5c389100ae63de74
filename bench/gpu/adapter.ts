// The GPU of a peer process: Node has no WebGPU of its own, so that of the package `webgpu` (Dawn, which Chrome uses too)
// stands where libraries look for it. Import this before them.
import { create, globals } from "webgpu";
import { flagsVariable } from "./flags.ts";

const flags = (process.env[flagsVariable] ?? "").split(",").filter((flag) => flag !== "");

Object.assign(globalThis, globals);
// By default Dawn rounds its clock to 65 microseconds.
const gpu = create(["disable-dawn-features=timestamp_quantization", ...flags]);
Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });

/** The adapter that every library asks for. */
export async function requestAdapter(): Promise<GPUAdapter> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) throw new Error("no adapter: WebGPU finds no GPU with a driver that it can use");
  return adapter;
}
