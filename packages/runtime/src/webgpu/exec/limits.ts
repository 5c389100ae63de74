/** What a device cannot hold, told by the tensor and the limit of the WebGPU specification. */
import { sizedSlot, type WebgpuLimits, type WebgpuProgram } from "@sinter/ir/program";
import { arenaSpace, type Location } from "./ops.ts";

export type LimitsOfDispatch = Pick<
  WebgpuLimits,
  "maxBufferSize" | "maxStorageBufferBindingSize" | "maxComputeWorkgroupsPerDimension"
>;

/** `arg 0 (f32[3,4])` */
export function slotText({ slots }: WebgpuProgram, slot: number, sizes: ReadonlyMap<string, number>): string {
  const { kind, index, dtype, shape } = sizedSlot(slots[slot]!, sizes);
  return `${kind} ${index} (${dtype}[${shape.join(",")}])`;
}

/** Throws where the working memory or a tensor that comes or goes is larger than a buffer may be. */
export function checkSizes(
  program: WebgpuProgram,
  sizes: ReadonlyMap<string, number>,
  arenaBytes: number,
  { maxBufferSize }: LimitsOfDispatch,
): void {
  const tooLarge = (what: string, bytes: number): void => {
    if (bytes > maxBufferSize)
      throw new Error(
        `webgpu: ${program.name}: ${what} takes ${bytes} bytes, more than one buffer of this device may have (maxBufferSize is ${maxBufferSize})`,
      );
  };
  for (const [i, slot] of program.slots.entries())
    if (slot.kind !== "arena" && slot.kind !== "sym")
      tooLarge(slotText(program, i, sizes), sizedSlot(slot, sizes).bytes);
  tooLarge("the memory of its intermediate tensors", arenaBytes);
}

/** Throws where a shader would see more than one binding may cover. */
export function checkBinding(
  { space, bytes }: Location,
  kernel: string,
  program: WebgpuProgram,
  { maxStorageBufferBindingSize: most }: LimitsOfDispatch,
): void {
  if (bytes <= most) return;
  const slot = program.slots[space];
  const what =
    space === arenaSpace || slot === undefined
      ? "an intermediate tensor"
      : `${slot.kind} ${slot.index} (${slot.dtype})`;
  throw new Error(
    `webgpu: ${program.name}: ${what} that kernel "${kernel}" works on takes ${bytes} bytes, more than one binding of this device may have (maxStorageBufferBindingSize is ${most})`,
  );
}
