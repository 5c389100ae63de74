/**
 * The WebGPU device that the tests of one file share. Where there is no adapter, one line says what does not run and why;
 * with SINTER_REQUIRE_WEBGPU=1 that is a failure.
 */
import { GpuMachine } from "@sinter/runtime/webgpu";
import { whyNoSwiftShader } from "./swiftshader.ts";

/** The device, or undefined after the reason has been printed. `what` does not run then. */
export async function gpuMachine(what: string): Promise<GpuMachine | undefined> {
  try {
    return await GpuMachine.acquire();
  } catch (error) {
    const driver = whyNoSwiftShader();
    const reason = `${error instanceof Error ? error.message : error}${driver === undefined ? "" : ` (${driver})`}`;
    if (process.env["SINTER_REQUIRE_WEBGPU"] === "1") throw new Error(`${what}: ${reason}`, { cause: error });
    console.log(`${what} did not run: ${reason}`);
    return undefined;
  }
}
