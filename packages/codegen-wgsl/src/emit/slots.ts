/** The call table of a program for the device: as for wasm, with elements of four bytes. */
import {
  addIndex,
  type Dim,
  divIndex,
  type LoopProgram,
  type Slot,
  scaleIndex,
  sizeOf,
  symsOfProgram,
  toDim,
} from "@sinter/ir";

const slotKinds = ["const", "arg", "state", "stateOut", "result"] as const;

/** The arena first, then the program's buffers by kind, in order, then the symbolic sizes. */
export function slotsOf(program: LoopProgram, arenaBytes: Dim): readonly Slot[] {
  const slots: Slot[] = [
    { kind: "arena", index: 0, dtype: "u32", shape: [toDim(divIndex(arenaBytes, 4))], bytes: arenaBytes },
  ];
  for (const kind of slotKinds) {
    const mine = program.buffers.filter((b) => b.kind === kind).sort((a, b) => a.slot - b.slot);
    for (const { slot, dtype, shape } of mine)
      slots.push({ kind, index: slot, dtype, shape, bytes: deviceBytes(sizeOf(shape)) });
  }
  symsOfProgram(program).forEach(({ name }, index) => {
    slots.push({ kind: "sym", index, name, dtype: "u32", shape: [], bytes: 0 });
  });
  return slots;
}

/** Bytes that so many elements take on the device: a multiple of 16, and some where there are none. */
export function deviceBytes(elements: Dim): Dim {
  if (elements === 0) return 16;
  return toDim(scaleIndex(divIndex(addIndex(elements, 3), 4), 16));
}
