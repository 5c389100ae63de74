/** Values on the GPU that are in the heap too, for a while. */
import { Buffer, theMachine } from "@sinter/runtime";
import { forceAnywhere } from "../eager.ts";
import type { Lazy } from "../lazy.ts";
import { downloaded } from "./calls.ts";
import { isOnGpu } from "./place.ts";

/**
 * Reads those of these values that are on the GPU only, and puts a copy of each in the heap. What it gives lets go of the
 * copies.
 */
export async function inHeap(values: readonly Lazy[]): Promise<() => void> {
  const there = values.filter(isOnGpu).map((lazy) => lazy.retain());
  const copies = new Map<Lazy, Buffer>();
  const leave = (): void => {
    for (const [lazy, buffer] of copies) {
      // Of a device that is lost meanwhile it is all that is left.
      const isSpare = lazy.buffer === buffer && lazy.gpu?.lost === undefined && lazy.gpu !== undefined;
      if (isSpare) lazy.buffer = undefined;
      if (isSpare || lazy.buffer !== buffer) buffer.release();
    }
    for (const lazy of there) lazy.release();
  };
  try {
    forceAnywhere(there);
    const { heap } = theMachine();
    for (const [i, data] of (await Promise.all(there.map(downloaded))).entries()) {
      const lazy = there[i]!;
      // Somebody else may have brought it over meanwhile.
      if (lazy.buffer !== undefined) continue;
      const buffer = new Buffer(heap, lazy.bytes);
      heap.view(lazy.dtype, buffer.address, data.length).set(data);
      lazy.buffer = buffer;
      copies.set(lazy, buffer);
    }
    return leave;
  } catch (error) {
    leave();
    throw error;
  }
}
