/** One program as a module, and its call table. */
import {
  type BufferDecl,
  bytesOf,
  type Dim,
  divIndex,
  type LoopProgram,
  type Plan,
  type Slot,
  scaleIndex,
  sizeOf,
  symsOfProgram,
  toDim,
  type WasmProgram,
} from "@sinter/ir";
import { Encoder } from "../encode/encoder.ts";
import { TextWriter } from "../encode/text.ts";
import { assemble, type EmitOptions } from "./module.ts";

/** Compiles scheduled loops and their memory plan to a wasm module. */
export function emit(program: LoopProgram, plan: Plan, options: EmitOptions): WasmProgram {
  const asm = new Encoder();
  assemble(asm, [{ name: "run", loops: program, plan }], options);
  const slots = slotsOf(program, plan);
  return {
    kind: "wasm",
    name: program.name,
    bytes: asm.bytes(options.names),
    memory: options.memory,
    slots,
    arenaBytes: plan.arenaBytes,
    kernels: program.kernels.length,
    calls: program.calls,
    constants: program.buffers.flatMap((b) =>
      b.kind === "const" && b.data !== undefined
        ? [{ slot: slots.findIndex((s) => s.kind === "const" && s.index === b.slot), data: b.data }]
        : [],
    ),
  };
}

export interface ProgramText {
  readonly module: string;
  /** Of each kernel: its functions, its entry's last. Kernels share equal ones. */
  readonly kernels: readonly string[];
  /** The function that runs the steps. */
  readonly run: string;
}

/** The WebAssembly text of the same module, each kernel's entry under a comment. */
export function emitText(
  program: LoopProgram,
  plan: Plan,
  options: EmitOptions,
  comments: readonly string[] = [],
): ProgramText {
  const asm = new TextWriter();
  const { kernels } = assemble(asm, [{ name: "run", loops: program, plan }], options);
  const [names] = kernels as [readonly (readonly string[])[]];
  const heads = new Map<string, string>();
  names.forEach((list, k) => {
    const [entry, comment] = [list.at(-1)!, comments[k] ?? ""];
    const known = heads.get(entry);
    if (comment !== "") heads.set(entry, known === undefined ? comment : `${known}; ${comment}`);
  });
  return {
    module: asm.text(heads),
    kernels: names.map((list) => list.map((name) => asm.funcText(name)).join("\n")),
    run: asm.funcText("run"),
  };
}

/** The functions of each kernel in that module, its entry last. Kernels share equal ones. */
export function functionNames(program: LoopProgram, plan: Plan, options: EmitOptions): readonly (readonly string[])[] {
  const { kernels } = assemble(new Encoder(), [{ name: "run", loops: program, plan }], options);
  return kernels[0]!;
}

export function emitWat(program: LoopProgram, plan: Plan, options: EmitOptions): string {
  return emitText(program, plan, options).module;
}

const slotKinds = ["const", "arg", "state", "stateOut", "result"] as const;

/** The call table: the arena first, then the program's buffers by kind, in order, then the symbolic sizes. */
export function slotsOf(program: LoopProgram, plan: Plan): readonly Slot[] {
  const { arenaBytes } = plan;
  const words = toDim(divIndex(arenaBytes, 4));
  const slots: Slot[] = [{ kind: "arena", index: 0, dtype: "u32", shape: [words], bytes: arenaBytes }];
  for (const kind of slotKinds) {
    const mine = program.buffers.filter((b) => b.kind === kind).sort((a, b) => a.slot - b.slot);
    for (const buffer of mine) {
      const { shape } = buffer;
      slots.push({ kind, index: buffer.slot, dtype: buffer.dtype, shape, bytes: bytesOfBuffer(buffer) });
    }
  }
  symsOfProgram(program).forEach(({ name }, index) => {
    slots.push({ kind: "sym", index, name, dtype: "u32", shape: [], bytes: 0 });
  });
  return slots;
}

function bytesOfBuffer(buffer: BufferDecl): Dim {
  return toDim(scaleIndex(sizeOf(buffer.shape), bytesOf(buffer.dtype)));
}
