/** What tests on the device share: whether there is one, contents as plain numbers, and messages of failures. */
import { ready } from "../src/index.ts";

/**
 * Whether there is no device, said once; with SINTER_REQUIRE_WEBGPU=1 that is a failure. `what` does not run then.
 * `device`: the one to run on.
 */
export async function missingGpu(what: string, device?: GPUDevice): Promise<boolean> {
  try {
    await ready("webgpu", device === undefined ? {} : { device });
    return false;
  } catch (error) {
    if (process.env["SINTER_REQUIRE_WEBGPU"] === "1") throw error;
    console.log(`not run: ${what}: ${error instanceof Error ? error.message : String(error)}`);
    return true;
  }
}

export async function numbers(x: { data(): Promise<ArrayLike<number>> }): Promise<number[]> {
  return Array.from(await x.data());
}

/** The message of what `body` throws or rejects with. */
export async function failure(body: () => unknown): Promise<string> {
  try {
    await body();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "nothing was thrown";
}
