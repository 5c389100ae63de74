/** One instance of a bundle's module: lays out its memory, holds its variables, calls its functions. */
import type { HostValue, TypedArray } from "@sinter/ir/program";
import type { Manifest, Source, TensorEntry, WasmBuild } from "../manifest.ts";
import { packTensors, readTensors, type StoredTensor } from "../safetensors.ts";
import { elementBytes, memoryLimit, sizeOf, typeText, viewOf } from "./dtypes.ts";
import { AssertionError, BundleError, messageOf } from "./errors.ts";
import { quoted } from "./json.ts";
import type { Bound, Call, Sized } from "./sizes.ts";
import { build, elementsOf, flatten, type ResultTensor } from "./trees.ts";
import { keyOf } from "./vouch.ts";

/** What an instance is made of. */
export interface Parts {
  readonly manifest: Manifest;
  readonly build: WasmBuild;
  readonly module: WebAssembly.Module;
  readonly weights: Uint8Array | undefined;
  /** Takes what the program prints: texts, with values between them. */
  readonly print: (format: readonly string[], values: readonly HostValue[]) => void;
  /** How functions with symbolic sizes are called: a bundle that has none has it not. */
  readonly sized: Sized | undefined;
}

/** A variable of a program. */
export interface Variable extends TensorEntry {
  readonly name: string;
  readonly trainable: boolean;
  /** A copy of its value. */
  read(): TypedArray;
  /** Gives it a value: elements, { data, shape }, or numbers in nested arrays. */
  write(value: unknown): void;
}

export interface Instance {
  readonly functions: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  readonly variables: Readonly<Record<string, Variable>>;
  saveState(): Uint8Array<ArrayBuffer>;
  loadState(bytes: Uint8Array): void;
  dispose(): void;
}

const alignment = 64;
const pageBytes = 65536;
const status: TensorEntry = { dtype: "i32", shape: [] };

export async function start({ manifest, module, weights, print, sized, build: { file } }: Parts): Promise<Instance> {
  const { variables, constants } = manifest;
  /** What runs now. */
  let running = "";
  /** Why nothing can run any more. */
  let over = "";
  const fail = (why: string): never => {
    throw new BundleError(`${file}: ${why}`);
  };
  const host = manifest.calls.map(({ format, operands }) => (...pointers: number[]) => {
    const code = view(status, pointers[0]!)[0]!;
    view(status, pointers.at(-1)!)[0] = code;
    const values = operands.map((type, i) => ({ ...type, data: view(type, pointers[i + 1]!) }));
    if (code === 0) print(format, values);
  });
  let { exports } = await WebAssembly.instantiate(module, { host: { ...host } }).catch((error) =>
    fail(messageOf(error)),
  );
  const { memory, heap_base: base } = exports;
  if (!(memory instanceof WebAssembly.Memory && base instanceof WebAssembly.Global))
    fail("exports no memory and heap_base");
  let buffer = (memory as WebAssembly.Memory).buffer as ArrayBuffer;
  const heapBase = (base as WebAssembly.Global).value >>> 0;

  let end = heapBase;
  const place = (bytes: number): number => {
    const at = Math.ceil(end / alignment) * alignment;
    end = at + bytes;
    return at;
  };
  const all = [...variables, ...constants];
  const homes = all.map((tensor) => {
    const { name, address } = tensor;
    if (address === undefined) return place(bytesOf(tensor));
    return address + bytesOf(tensor) <= heapBase ? address : fail(`has no data for ${quoted(name)}`);
  });
  /** By variable: where its value is, and where the next one goes if that is another place. */
  const now = homes.slice(0, variables.length);
  const functions = manifest.functions as readonly Bound[];
  const doubled = functions.map(doubledVariables);
  const next = variables.map((variable, i) => (doubled.some((each) => each.has(i)) ? place(bytesOf(variable)) : 0));
  const tables = functions.map(({ slots }) => place(4 * slots.length));
  // Arena, arguments and results are used by one call at a time.
  const shared = place(0);
  const callables = functions.map((f, i) => {
    if (typeof exports[f.entry] !== "function") fail(`exports no function ${f.entry}`);
    const layOut = (bound: Bound): Call => {
      end = shared;
      const places = bound.slots.map((slot) => {
        if (slot.kind === "const") return homes[variables.length + f.constants[slot.index]!]!;
        if (slot.kind === "sym") return bound.values![slot.index]!;
        return slot.kind === "state" || slot.kind === "stateOut" ? 0 : place(bytesOf(slot));
      });
      reserve();
      return callable(bound, tables[i]!, places, doubled[i]!);
    };
    return [f.name, f.sizes ? sized!(f, layOut, use, fail) : layOut(f)] as const;
  });
  // Where only variables and constants need it.
  end = shared;
  reserve();
  if (weights !== undefined) restore(all, homes, weights, manifest.weights!.file);

  /** Lets the memory reach to `end`. */
  function reserve(): void {
    // Not a variable outside: what was disposed must not hold it.
    const memory = exports["memory"] as WebAssembly.Memory;
    const pages = Math.ceil((end - buffer.byteLength) / pageBytes);
    try {
      if (pages > 0) memory.grow(end > memoryLimit ? memoryLimit : pages);
    } catch {
      fail(
        `needs ${Math.ceil(end / 2 ** 20)} MiB of memory, ${end > memoryLimit ? "more than 4096" : "which are not there"}`,
      );
    }
    buffer = memory.buffer as ArrayBuffer;
  }

  /** Throws where nothing may run. */
  function use(name: string): void {
    if (over !== "") throw new BundleError(`${name}: ${over}`);
    if (running !== "") throw new BundleError(`${name} was called while ${running} runs`);
  }

  function view({ dtype, shape }: TensorEntry, address: number): TypedArray {
    return viewOf(dtype, buffer, address >>> 0, sizeOf(shape));
  }

  /** Copies tensors of a file to their places, but for those with an address; changes nothing where one does not fit. */
  function restore(
    entries: readonly (TensorEntry & { readonly name: string; readonly address?: number })[],
    to: readonly number[],
    bytes: Uint8Array,
    from: string,
  ): void {
    const inFile = entries.filter(({ address }) => address === undefined || entries !== all);
    const stored = fitting(inFile, bytes, from);
    for (const [i, { name }] of entries.entries()) {
      const found = stored.get(name);
      if (found !== undefined) new Uint8Array(buffer, to[i]).set(found.bytes);
    }
  }

  function callable(f: Bound, table: number, places: readonly number[], twice: ReadonlySet<number>): Call {
    const { name, params, slots, states, outs, check } = f;
    const written = new Map(states.map((state) => [state.out, state.variable]));
    const positions = new Map(slots.map((slot, i) => [keyOf(slot), i]));
    return (...args) => {
      if (args.length > params.length)
        throw new TypeError(`${name} takes ${params.length} arguments, but was given ${args.length}`);
      const leaves: TypedArray[] = [];
      for (const [i, param] of params.entries()) flatten(param.tree, args[i], `${name}: ${param.name}`, leaves);
      use(name);
      const pointers = slots.map(({ kind, index }, i) => {
        if (kind === "state") return now[states[index]!.variable]!;
        if (kind !== "stateOut") return places[i]!;
        const variable = written.get(index)!;
        return (twice.has(variable) ? next : now)[variable]!;
      });
      for (const [i, slot] of slots.entries())
        if (slot.kind === "arg") view(slot, pointers[i]!).set(leaves[slot.index]!);
      new Uint32Array(buffer, table).set(pointers);
      running = name;
      try {
        (exports[f.entry] as Run)(table);
      } catch (error) {
        // The log's own errors come out as they are.
        if ([...written].some(([out, variable]) => out >= 0 && !twice.has(variable)))
          over = `${name} stopped while it was changing variables`;
        throw error instanceof WebAssembly.RuntimeError ? new BundleError(`${file}: ${name}: ${error.message}`) : error;
      } finally {
        running = "";
      }
      const read = (source: Source): TypedArray => {
        const at = positions.get(keyOf(source))!;
        return view(slots[at]!, pointers[at]!).slice();
      };
      const code = check && read({ kind: "result", index: check.result })[0]!;
      if (code) throw new AssertionError(check.messages[code - 1] ?? `${name}: check ${code} failed`);
      const values = outs.map(read);
      const moved = states.map(({ from }) => from && read(from));
      for (const [i, { variable, out }] of states.entries()) {
        if (out >= 0 && twice.has(variable)) [now[variable], next[variable]] = [next[variable]!, now[variable]!];
        if (moved[i] !== undefined) view(variables[variable]!, now[variable]!).set(moved[i]);
      }
      return build(
        f.result,
        ({ index, shape, dtype }): ResultTensor => ({ data: values[index]!, shape: [...shape], dtype }),
      );
    };
  }

  const cells = variables.map((entry, i): Variable => {
    const { name, dtype, shape, trainable } = entry;
    return {
      ...{ name, dtype, shape, trainable },
      read() {
        use(name);
        return view(entry, now[i]!).slice();
      },
      write(value) {
        const elements = elementsOf(entry, value, name);
        use(name);
        view(entry, now[i]!).set(elements);
      },
    };
  });

  return {
    functions: Object.fromEntries(callables),
    variables: Object.fromEntries(cells.map((cell) => [cell.name, cell])),
    saveState: () => packTensors(cells.map((cell) => ({ ...cell, data: cell.read() }))),
    loadState(bytes) {
      if (!ArrayBuffer.isView(bytes)) throw new TypeError("loadState: bytes must be those of saveState");
      // New values for all variables end what had stopped.
      if (over === disposed || running !== "") use("loadState");
      restore(variables, now, bytes, "state");
      over = "";
    },
    dispose() {
      if (running !== "") use("dispose");
      over = disposed;
      // Both hold the memory.
      exports = {};
      buffer = new ArrayBuffer(0);
    },
  };
}

/** The tensors of a file, which must be these. Throws a `BundleError` where they are not. */
export function fitting(
  entries: readonly (TensorEntry & { readonly name: string })[],
  bytes: Uint8Array,
  from: string,
): ReadonlyMap<string, StoredTensor> {
  let stored: ReadonlyMap<string, StoredTensor>;
  try {
    stored = readTensors(bytes, from);
  } catch (error) {
    throw new BundleError(messageOf(error));
  }
  const names = new Set<string>();
  for (const entry of entries) {
    const [found, wanted] = [typeText(stored.get(entry.name)), typeText(entry)];
    if (found !== wanted) throw new BundleError(`${from}: ${quoted(entry.name)} must be ${wanted}, but is ${found}`);
    names.add(entry.name);
  }
  for (const name of stored.keys())
    if (!names.has(name)) throw new BundleError(`${from}: nothing is called ${quoted(name)}`);
  return stored;
}

type Run = (table: number) => void;

const disposed = "the program was disposed";

function bytesOf({ dtype, shape }: TensorEntry): number {
  return sizeOf(shape) * elementBytes[dtype];
}

/** Variables whose old value must outlive a call, because a check may fail or because it leaves the program. */
function doubledVariables({ states, outs, check }: Bound): Set<number> {
  const leaving = [...outs, ...states.map(({ from }) => from)];
  return new Set(
    states.flatMap(({ variable, out }, i) =>
      out >= 0 && (check !== undefined || leaving.some((at) => at?.kind === "state" && at.index === i))
        ? [variable]
        : [],
    ),
  );
}
