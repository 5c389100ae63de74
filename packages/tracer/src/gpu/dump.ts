/** SINTER_DUMP for programs on the GPU: what a call reads is read back before it, what it writes after it. */
import { type Graph, type HostFunction, sizedSlot, sizesIn } from "@sinter/ir";
import { type CompileOptions, type DumpFolder, type NamedTensor, type Slot, slotNames } from "@sinter/runtime";
import type { GpuExecutable } from "@sinter/runtime/webgpu";
import { attempt, listening, newDump } from "../dump.ts";
import type { GpuProgram } from "./compile.ts";
import { theGpu } from "./session.ts";

/** Calls that are still being recorded. */
const recordings = new Set<Promise<void>>();

/** Resolves when all calls made so far are in their dumps. */
export async function dumpsWritten(): Promise<void> {
  await Promise.all([...recordings]);
}

/** A program that was compiled, dumped where that is asked for: its first run is recorded. */
export function dumpedOnGpu(program: GpuProgram, graph: Graph, options: CompileOptions): GpuProgram {
  const folder = newDump(graph, options, theGpu().machine);
  if (folder === undefined) return program;
  return { ...program, executable: recording(program.executable, graph, folder) };
}

/** Runs as `inner` does; what goes in and out the first time goes into the dump too. */
function recording(inner: GpuExecutable, graph: Graph, folder: DumpFolder): GpuExecutable {
  const { machine } = theGpu();
  const names = slotNames(graph, inner.slots);
  let recorded = false;
  return {
    slots: inner.slots,
    bytes: inner.bytes,
    ready: inner.ready,
    get isReady() {
      return inner.isReady;
    },
    enqueue(buffers, table, host) {
      if (recorded) return inner.enqueue(buffers, table, host);
      recorded = true;
      const sizes = sizesIn(inner.slots, table);
      const read = (kinds: readonly Slot["kind"][]): Promise<NamedTensor[]> =>
        Promise.all(
          inner.slots.flatMap((slot, i) => {
            const [name, buffer] = [names[i], buffers[i]];
            if (name === undefined || buffer === undefined || !kinds.includes(slot.kind)) return [];
            const { dtype, shape } = sizedSlot(slot, sizes);
            const length = shape.reduce((n, size) => n * size, 1);
            return [machine.download({ buffer }, dtype, length).then((data) => ({ name, dtype, shape, data }))];
          }),
        );
      const calls: NamedTensor[] = [];
      const hostStatuses: number[] = [];
      const answering: HostFunction | undefined = host === undefined ? undefined : listening(host, calls, hostStatuses);
      // All three are in the order of the device: buffers that are given back are used again behind them only.
      const before = read(["arg", "const", "state"]);
      const submitted = inner.enqueue(buffers, table, answering);
      const after = read(["stateOut", "result"]);
      const written = Promise.allSettled([before, after, submitted]).then(([given, made, done]) => {
        const tensors = given.status === "fulfilled" ? given.value : [];
        // What a call that failed was given is what to find out with.
        const results = made.status === "fulfilled" && done.status === "fulfilled" ? made.value : [];
        attempt(() => folder.record({ tensors: [...tensors, ...results, ...calls], hostStatuses }));
        recordings.delete(written);
      });
      recordings.add(written);
      return submitted;
    },
    run: (...call) => inner.run(...call),
    record: (...call) => inner.record(...call),
    dispose: () => inner.dispose(),
  };
}
