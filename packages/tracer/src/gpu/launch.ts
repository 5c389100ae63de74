/** Runs a program of arguments and results only on eager values, on the GPU. */
import type { GpuExecutable } from "@sinter/runtime/webgpu";
import type { Lazy } from "../lazy.ts";
import { type Launch, launch, located } from "./calls.ts";
import { freshMemory, onDevice } from "./memory.ts";

/** Queues the call; the results get memory, which calls that follow may read. */
export function launchOn(
  executable: GpuExecutable,
  call: Pick<Launch, "name" | "where" | "host" | "isSilent" | "check" | "look"> & {
    readonly args: readonly Lazy[];
    readonly results: readonly Lazy[];
  },
): void {
  const { args, results, ...rest } = call;
  try {
    for (const result of results) result.gpu = freshMemory(result);
    const buffers = executable.slots.map(({ kind, index }): GPUBuffer | undefined => {
      if (kind === "arg") return onDevice(`${call.name}: a value`, args[index]!);
      return kind === "result" ? results[index]!.gpu!.block.buffer : undefined;
    });
    const sizes = new Array<number>(buffers.length).fill(0);
    launch({ ...rest, executable, buffers, sizes, reads: args, writes: results });
  } catch (error) {
    for (const result of results) {
      result.gpu?.release();
      result.gpu = undefined;
    }
    throw located(call, error);
  }
}
