/** How the page calls the adapter that programs run on. */
import { gpuDevice } from "sinter";

export interface AdapterLabel {
  readonly name: string;
  /** A program on the CPU that stands in for a GPU: its times say nothing about GPUs. */
  readonly isSoftware: boolean;
}

const software = /swiftshader|llvmpipe|lavapipe|basic render/i;

/** The adapter of the device that `ready("webgpu")` has acquired. */
export function adapterLabel(): AdapterLabel {
  const { vendor, architecture, device, description, isFallbackAdapter } = gpuDevice().adapterInfo;
  const parts = [vendor, architecture, description === "" ? device : description].filter((part) => part !== "");
  const name = parts.join(" ");
  return { name: name === "" ? "a GPU without a name" : name, isSoftware: isFallbackAdapter || software.test(name) };
}
