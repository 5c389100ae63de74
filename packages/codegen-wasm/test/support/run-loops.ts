// Runs Loop IR functions as wasm on plain typed arrays: what the emitter's tests share.
import {
  type BufferDecl,
  bytesOf,
  type DType,
  type LoopFunc,
  type LoopProgram,
  type Plan,
  staticDim,
  type TypedArray,
} from "@sinter/ir";
import { emitChecked, parseWat } from "../../../../test/support/binaryen.ts";
import type { EmitOptions } from "../../src/emit/module.ts";
import { emitWat } from "../../src/emit/program.ts";
import { probeFeatures } from "../../src/features.ts";

export const defaults: EmitOptions = { ...probeFeatures(), memory: "unshared", owner: "import" };

/** A program of one kernel: its entry's pointers are the program's results, which are also read. */
export function programOf(
  funcs: readonly LoopFunc[],
  lengths: readonly number[],
): { program: LoopProgram; plan: Plan } {
  const entry = funcs[0]!;
  const buffers = entry.pointers.map(
    (p, id): BufferDecl => ({
      id,
      name: p.name,
      dtype: p.element as DType,
      shape: [lengths[id]!],
      kind: "result",
      slot: id,
    }),
  );
  const ids = buffers.map((b) => b.id);
  const kernel = {
    name: entry.name,
    funcs,
    buffers: ids,
    scratch: [],
    writes: ids,
    aliasable: [],
    flops: 0,
    schedule: "test",
  };
  return {
    program: {
      name: entry.name,
      buffers,
      kernels: [kernel],
      steps: [{ kind: "kernel", kernel: 0, nodes: [] }],
      calls: [],
    },
    plan: {
      arenaBytes: 0,
      alignment: 64,
      places: buffers.map((b) => ({ kind: "slot", slot: b.id + 1, bytes: lengths[b.id]! * bytesOf(b.dtype) })),
      scratch: [[]],
    },
  };
}

export function newMemory(options: EmitOptions, pages: number): WebAssembly.Memory {
  return options.memory === "shared"
    ? new WebAssembly.Memory({ initial: pages, maximum: 1024, shared: true })
    : new WebAssembly.Memory({ initial: pages });
}

/** Functions that a program may call. */
type Host = Readonly<Record<string, (step: number) => void>>;

/** Places arrays in memory (each followed by a guard that must survive), runs, and copies the arrays back. */
export function runProgram(
  program: LoopProgram,
  plan: Plan,
  arrays: readonly TypedArray[],
  options: EmitOptions = defaults,
  host: Host = {},
): void {
  const { bytes } = emitChecked(program, plan, options);
  const parsed = parseWat(emitWat(program, plan, options));
  if (Buffer.compare(bytes, parsed) !== 0) throw new Error("the text reads as another module");
  runModule(bytes, plan, arrays, options, host);
}

/** Runs the bytes of a module like `runProgram`. */
export function runModule(
  bytes: Uint8Array,
  plan: Plan,
  arrays: readonly TypedArray[],
  options: EmitOptions = defaults,
  host: Host = {},
): void {
  let at = 1024;
  const places = arrays.map((a) => {
    const place = at;
    at = (at + a.byteLength + 64 + 63) & ~63;
    return place;
  });
  const arena = at;
  const pages = Math.ceil((arena + staticDim(plan.arenaBytes)) / 65536) + 1;
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
  const imported = newMemory(options, pages);
  const instance = new WebAssembly.Instance(module, { env: { memory: imported }, host });
  const exported = instance.exports["memory"] as WebAssembly.Memory | undefined;
  if (exported !== undefined) exported.grow(pages);
  const memory = exported ?? imported;
  const view = new Uint8Array(memory.buffer);
  view.fill(0xa5);
  for (const [i, a] of arrays.entries()) view.set(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), places[i]!);
  new Uint32Array(memory.buffer, 64, arrays.length + 1).set([arena, ...places]);
  (instance.exports["run"] as (table: number) => void)(64);
  for (const [i, a] of arrays.entries()) {
    const place = places[i]!;
    for (let b = 0; b < 64; b++)
      if (view[place + a.byteLength + b] !== 0xa5) throw new Error(`wrote ${b} bytes past the end of array ${i}`);
    new Uint8Array(a.buffer, a.byteOffset, a.byteLength).set(view.subarray(place, place + a.byteLength));
  }
}

/** Runs one function (and those it calls) on arrays, in pointer order. */
export function runFuncs(
  funcs: readonly LoopFunc[],
  arrays: readonly TypedArray[],
  options: EmitOptions = defaults,
): void {
  const { program, plan } = programOf(
    funcs,
    arrays.map((a) => a.length),
  );
  runProgram(program, plan, arrays, options);
}
