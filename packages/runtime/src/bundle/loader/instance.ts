/** One instance of a bundle's module: lays out its memory, holds its variables, calls its functions. */
import { printedText, type TypedArray } from "@sinter/ir/program";
import type { BuildFile, FunctionEntry, Manifest, Source, TensorEntry, VariableEntry } from "../manifest.ts";
import { readSafetensors, writeSafetensors } from "../safetensors.ts";
import { elementBytes, sizeOf, typeText, viewOf } from "./dtypes.ts";
import { AssertionError, BundleError, messageOf } from "./errors.ts";
import { memoryLimit } from "./fields.ts";
import { build, elementsOf, flatten, type ResultTensor } from "./trees.ts";

const alignment = 64;
const pageBytes = 65536;

/** What an instance is made of. */
export interface Parts {
  readonly manifest: Manifest;
  readonly build: BuildFile;
  readonly module: WebAssembly.Module;
  readonly weights: Uint8Array | undefined;
  /** Takes what the program prints. */
  readonly log: (text: string) => void;
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

/** A function with its places in memory. */
interface Prepared {
  readonly entry: FunctionEntry;
  readonly run: (table: number) => void;
  readonly table: number;
  /** Addresses by slot, but for states. */
  readonly places: readonly number[];
  /** By stateOut: whether the new value goes to another place than the old. */
  readonly doubled: readonly boolean[];
}

export async function start(parts: Parts): Promise<Instance> {
  const { manifest, module, build: file } = parts;
  const instance: { current?: Instance } = {};
  const host = Object.fromEntries(
    manifest.calls.map((_, i) => [i, (...pointers: number[]) => instance.current?.print(i, pointers)]),
  );
  let made: WebAssembly.Instance;
  try {
    made = await WebAssembly.instantiate(module, { host });
  } catch (error) {
    throw new BundleError(`${file.file}: cannot be instantiated: ${messageOf(error)}`);
  }
  instance.current = new Instance(parts, made.exports);
  return instance.current;
}

export class Instance {
  readonly variables: Readonly<Record<string, Variable>>;
  readonly functions: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  private readonly parts: Parts;
  private memory: WebAssembly.Memory;
  /** Addresses by variable: of its value, and of the place for the next one where that is another. */
  private readonly now: number[];
  private readonly next: number[];
  private readonly constants: readonly number[];
  private running = "";
  /** Why nothing can run any more. */
  private over = "";

  constructor(parts: Parts, exports: WebAssembly.Exports) {
    const { manifest, build: file } = parts;
    const fail = (why: string): never => {
      throw new BundleError(`${file.file}: ${why}`);
    };
    const { memory, heap_base: base } = exports;
    this.parts = parts;
    this.memory = memory instanceof WebAssembly.Memory ? memory : fail("exports no memory");
    const heapBase: number = base instanceof WebAssembly.Global ? base.value >>> 0 : fail("exports no heap_base");
    let end = heapBase;
    const place = (bytes: number): number => {
      const at = Math.ceil(end / alignment) * alignment;
      end = at + bytes;
      return at;
    };
    const home = (at: { readonly name: string; readonly address?: number } & TensorEntry): number => {
      if (at.address === undefined) return place(bytesOf(at));
      return at.address + bytesOf(at) <= heapBase
        ? at.address
        : fail(`its data ends before ${JSON.stringify(at.name)}`);
    };
    this.constants = manifest.constants.map(home);
    this.now = manifest.variables.map(home);
    const doubled = manifest.functions.map(doubledStates);
    this.next = manifest.variables.map((variable, i) =>
      manifest.functions.some(({ states }, f) => states.some((s) => s.variable === i && doubled[f]![s.out]))
        ? place(bytesOf(variable))
        : -1,
    );
    const tables = manifest.functions.map(({ slots }) => place(4 * slots.length));
    // Arena, arguments and results are used by one call at a time.
    const shared = place(0);
    let most = shared;
    const prepared = manifest.functions.map((entry, f): Prepared => {
      end = shared;
      const places = entry.slots.map((slot) => {
        if (slot.kind === "const") return this.constants[entry.constants[slot.index]!]!;
        return slot.kind === "state" || slot.kind === "stateOut" ? 0 : place(bytesOf(slot));
      });
      most = Math.max(most, end);
      const run = exports[entry.entry];
      if (typeof run !== "function") fail(`exports no function ${entry.entry}`);
      return { entry, run: run as Prepared["run"], table: tables[f]!, places, doubled: doubled[f]! };
    });
    this.reserve(most, fail);
    this.fill(manifest);
    this.functions = Object.freeze(
      Object.fromEntries(prepared.map((p) => [p.entry.name, (...args: readonly unknown[]) => this.call(p, args)])),
    );
    this.variables = Object.freeze(
      Object.fromEntries(manifest.variables.map((variable, i) => [variable.name, this.variable(variable, i)])),
    );
  }

  private reserve(bytes: number, fail: (why: string) => never): void {
    if (bytes > memoryLimit) fail(`needs ${Math.ceil(bytes / 2 ** 20)} MiB of memory; the most there can be is 4096`);
    const pages = Math.ceil((bytes - this.memory.buffer.byteLength) / pageBytes);
    try {
      if (pages > 0) this.memory.grow(pages);
    } catch {
      fail(`needs ${Math.ceil(bytes / 2 ** 20)} MiB of memory, which are not to be had`);
    }
  }

  /** Puts the weights into memory. */
  private fill(manifest: Manifest): void {
    const { weights } = this.parts;
    if (weights === undefined) return;
    const entries = [...manifest.variables, ...manifest.constants];
    const homes = [...this.now, ...this.constants];
    this.restore(
      entries.filter(({ address }) => address === undefined),
      homes.filter((_, i) => entries[i]!.address === undefined),
      weights,
      manifest.weights!.file,
    );
  }

  /** Copies tensors of a file to their places; changes nothing where one is missing or another. */
  private restore(
    entries: readonly (TensorEntry & { readonly name: string })[],
    homes: readonly number[],
    bytes: Uint8Array,
    file: string,
  ): void {
    let stored: ReturnType<typeof readSafetensors>["tensors"];
    try {
      stored = readSafetensors(bytes, file).tensors;
    } catch (error) {
      throw new BundleError(messageOf(error));
    }
    const found = entries.map(({ name, dtype, shape }) => {
      const tensor = stored.get(name);
      const text = tensor === undefined ? "missing" : typeText(tensor.dtype, tensor.shape);
      if (text !== typeText(dtype, shape))
        throw new BundleError(`${file}: ${JSON.stringify(name)} must be ${typeText(dtype, shape)}, but is ${text}`);
      return tensor!.bytes;
    });
    if (stored.size > entries.length) {
      const known = new Set(entries.map(({ name }) => name));
      const extra = [...stored.keys()].find((name) => !known.has(name));
      throw new BundleError(`${file}: nothing is called ${JSON.stringify(extra)}`);
    }
    for (const [i, from] of found.entries()) new Uint8Array(this.memory.buffer, homes[i]!, from.length).set(from);
  }

  private view({ dtype, shape }: TensorEntry, address: number): TypedArray {
    return viewOf(dtype, this.memory.buffer as ArrayBuffer, address, sizeOf(shape));
  }

  private call(f: Prepared, args: readonly unknown[]): unknown {
    const { entry, places } = f;
    const { name, params } = entry;
    if (args.length > params.length)
      throw new TypeError(`${name} takes ${params.length} arguments, but was given ${args.length}`);
    const leaves: TypedArray[] = [];
    for (const [i, param] of params.entries()) flatten(param.tree, args[i], `${name}: ${param.name}`, leaves);
    this.use(name);
    this.running = name;
    try {
      const table = new Uint32Array(this.memory.buffer, f.table, places.length);
      table.set(places);
      for (const [i, slot] of entry.slots.entries()) {
        if (slot.kind === "arg") this.view(slot, places[i]!).set(leaves[slot.index]!);
        else if (slot.kind === "state") table[i] = this.now[entry.states[slot.index]!.variable]!;
        else if (slot.kind === "stateOut") {
          const { variable } = entry.states.find(({ out }) => out === slot.index)!;
          table[i] = (f.doubled[slot.index] ? this.next : this.now)[variable]!;
        }
      }
      this.execute(f);
      return this.finish(f, leaves);
    } finally {
      this.running = "";
    }
  }

  private execute({ entry, run, table, doubled }: Prepared): void {
    try {
      run(table);
    } catch (error) {
      // What the log threw comes out as it is; the variables may be half written either way.
      if (doubled.includes(false)) this.over = `${entry.name} stopped while it was changing variables`;
      if (error instanceof WebAssembly.RuntimeError)
        throw new BundleError(`${this.parts.build.file}: ${entry.name} stopped: ${error.message}`);
      throw error;
    }
  }

  /** Reads results, and makes new values of variables those that count. */
  private finish({ entry, places, doubled }: Prepared, leaves: readonly TypedArray[]): unknown {
    const { slots, states, check, outs } = entry;
    const read = ({ kind, index }: Source): TypedArray => {
      if (kind === "arg") return leaves[index]!.slice();
      if (kind === "const") {
        const constant = entry.constants[index]!;
        return this.view(this.parts.manifest.constants[constant]!, this.constants[constant]!).slice();
      }
      if (kind === "result") {
        const at = slots.findIndex((slot) => slot.kind === kind && slot.index === index);
        return this.view(slots[at]!, places[at]!).slice();
      }
      const variable = kind === "state" ? states[index]!.variable : states.find(({ out }) => out === index)!.variable;
      const address = (kind === "stateOut" && doubled[index] ? this.next : this.now)[variable]!;
      return this.view(this.parts.manifest.variables[variable]!, address).slice();
    };
    if (check !== undefined) {
      const code = read({ kind: "result", index: check.result })[0]!;
      if (code !== 0) throw new AssertionError(check.messages[code - 1] ?? `${entry.name}: check ${code} failed`);
    }
    const values = outs.map(read);
    const moved = states.map(({ from }) => (from === undefined ? undefined : read(from)));
    for (const [i, { variable, out }] of states.entries()) {
      if (doubled[out]) [this.now[variable], this.next[variable]] = [this.next[variable]!, this.now[variable]!];
      const value = moved[i];
      if (value !== undefined) this.view(this.parts.manifest.variables[variable]!, this.now[variable]!).set(value);
    }
    return build(
      entry.result,
      ({ index, shape, dtype }): ResultTensor => ({ data: values[index]!, shape: [...shape], dtype }),
    );
  }

  private variable(entry: VariableEntry, i: number): Variable {
    const { name, dtype, shape, trainable } = entry;
    return {
      name,
      dtype,
      shape,
      trainable,
      read: () => {
        this.use(name);
        return this.view(entry, this.now[i]!).slice();
      },
      write: (value) => {
        const elements = elementsOf(entry, value, name);
        this.use(name);
        this.view(entry, this.now[i]!).set(elements);
      },
    };
  }

  saveState(): Uint8Array<ArrayBuffer> {
    return writeSafetensors(Object.values(this.variables).map((v) => ({ ...v, data: v.read() })));
  }

  loadState(bytes: Uint8Array): void {
    const broken = this.over;
    if (this.parts.manifest.variables.length > 0) this.over = "";
    try {
      this.use("loadState");
      this.restore(this.parts.manifest.variables, this.now, bytes, "state");
    } catch (error) {
      this.over = broken;
      throw error;
    }
  }

  /** Call number `i` of the module: its status, operands, and where the status goes. */
  print(i: number, pointers: readonly number[]): void {
    const { format, operands } = this.parts.manifest.calls[i]!;
    const scalar: TensorEntry = { dtype: "i32", shape: [] };
    const status = this.view(scalar, pointers[0]! >>> 0)[0]!;
    this.view(scalar, pointers.at(-1)! >>> 0)[0] = status;
    if (status !== 0) return;
    const values = operands.map((type, k) => ({ ...type, data: this.view(type, pointers[k + 1]! >>> 0) }));
    this.parts.log(printedText(format, values));
  }

  /** Throws where nothing may run now. */
  private use(name: string): void {
    if (this.over !== "") throw new BundleError(`${name}: ${this.over}`);
    if (this.running !== "") throw new BundleError(`${name} was called while ${this.running} runs`);
  }

  dispose(): void {
    this.use("dispose");
    this.over = "the program was disposed";
    this.memory = undefined as unknown as WebAssembly.Memory;
  }
}

function bytesOf({ dtype, shape }: TensorEntry): number {
  return sizeOf(shape) * elementBytes[dtype];
}

/** By stateOut: whether the old value must outlive the call, because a check may fail or because it leaves the program. */
function doubledStates({ states, outs, check }: FunctionEntry): boolean[] {
  const doubled: boolean[] = [];
  const leaving = [...outs, ...states.map(({ from }) => from)];
  for (const [i, { out }] of states.entries())
    if (out >= 0)
      doubled[out] = check !== undefined || leaving.some((source) => source?.kind === "state" && source.index === i);
  return doubled;
}
