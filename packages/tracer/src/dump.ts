/**
 * SINTER_DUMP=dir: every function that is compiled leaves a folder there that shows what became of it, and its first
 * call as bits. Where that fails, the call goes on, and one warning says why.
 */
import { type Graph, type HostFunction, printGraphWithData, sizedSlot, sizesIn } from "@sinter/ir";
import {
  type CallRecord,
  type Compiled,
  type CompileOptions,
  type DumpFolder,
  type DumpWriter,
  type Executable,
  inspect,
  type NamedTensor,
  type Slot,
  slotNames,
  theMachine,
} from "@sinter/runtime";
import type { DeviceKind } from "@sinter/runtime/webgpu";

interface NodeProcess {
  readonly env?: Readonly<Record<string, string | undefined>>;
  getBuiltinModule?(name: "node:module"): { createRequire(from: string): (path: string) => unknown };
}

/** A program that was compiled, dumped where that is asked for: its first run is recorded. */
export function dumped(compiled: Compiled, graph: Graph, options: CompileOptions): Compiled {
  // The reference evaluator runs no program that there would be something to tell of.
  const folder = options.backend === "reference" ? undefined : newDump(graph, options);
  if (folder === undefined) return compiled;
  return { ...compiled, executable: recording(compiled.executable, graph, folder) };
}

/** The folder of a dump, in which all but the call is; undefined where none is asked for, or it failed. */
export function newDump(graph: Graph, options: CompileOptions, device?: DeviceKind): DumpFolder | undefined {
  const parent = nodeProcess()?.env?.["SINTER_DUMP"];
  if (parent === undefined || parent === "") return undefined;
  return attempt(() => {
    const { text, data } = printGraphWithData(graph, { locs: true });
    return writer().writeDump(parent, { inspection: inspect(graph, options, device), graph: text, constants: data });
  });
}

let warned = false;

/** What `action` gives; undefined where it throws, with one warning. */
export function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (!warned) console.warn(`sinter: SINTER_DUMP: ${error instanceof Error ? error.message : String(error)}`);
    warned = true;
    return undefined;
  }
}

function nodeProcess(): NodeProcess | undefined {
  return (globalThis as { readonly process?: NodeProcess }).process;
}

/**
 * The package that writes dumps, from its place beside this one. By its path, since nothing here may depend on it, and no
 * bundler is to follow.
 */
function writer(): DumpWriter {
  const load = nodeProcess()
    ?.getBuiltinModule?.("node:module")
    ?.createRequire(import.meta.url);
  if (load === undefined) throw new Error("needs Node 20.19, 22.12 or later");
  return load(import.meta.url.endsWith(".ts") ? "../../inspect/src/index.ts" : "../inspect/index.js") as DumpWriter;
}

/** Runs as `executable` does; what goes in and out the first time goes into the dump too. */
function recording(executable: Executable, graph: Graph, folder: DumpFolder): Executable {
  let recorded = false;
  return {
    ...executable,
    execute(pointers, host) {
      if (recorded) return executable.execute(pointers, host);
      recorded = true;
      // A call inside this one fills the same list anew.
      const addresses = [...pointers];
      const names = slotNames(graph, executable.slots);
      const sizes = sizesIn(executable.slots, pointers);
      const read = (kinds: readonly Slot["kind"][]): NamedTensor[] =>
        executable.slots.flatMap((slot, i) => {
          const { kind, dtype, shape } = sizedSlot(slot, sizes);
          const name = names[i];
          if (name === undefined || !kinds.includes(kind)) return [];
          const length = shape.reduce((n, size) => n * size, 1);
          return [{ name, dtype, shape, data: theMachine().heap.copy(dtype, addresses[i]!, length) }];
        });
      const before = attempt(() => read(["arg", "const", "state"]));
      if (before === undefined) return executable.execute(pointers, host);
      const calls: NamedTensor[] = [];
      const hostStatuses: number[] = [];
      let after: readonly Slot["kind"][] = [];
      try {
        executable.execute(pointers, host === undefined ? undefined : listening(host, calls, hostStatuses));
        after = ["stateOut", "result"];
      } finally {
        // What a program that trapped was given is what to find out with.
        attempt(() => {
          const call: CallRecord = { tensors: [...before, ...read(after), ...calls], hostStatuses };
          folder.record(call);
        });
      }
    },
  };
}

/** Answers as `host` does, and keeps what it answered. */
export function listening(host: HostFunction, calls: NamedTensor[], statuses: number[]): HostFunction {
  return (call, values) => {
    const answer = host(call, values);
    const n = statuses.length;
    statuses.push(typeof answer === "number" ? answer : 0);
    if (typeof answer !== "number")
      answer.forEach(({ dtype, shape, data }, i) => {
        calls.push({ name: `call ${n}.${i}`, dtype, shape, data: data.slice() });
      });
    return answer;
  };
}
