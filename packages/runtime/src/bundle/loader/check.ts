/**
 * Looks at every field of a manifest, and whether every index leads somewhere: for the library, which loads what others
 * wrote. The loader that comes with a bundle goes by the checksum that its module has of the manifest.
 */
import type { FunctionEntry, Manifest, SizeEntry, TensorEntry, TreeEntry } from "../manifest.ts";
import { memoryLimit, typeText } from "./dtypes.ts";
import { BundleError, messageOf } from "./errors.ts";
import {
  bad,
  below,
  both,
  type Check,
  fields,
  flag,
  list,
  matching,
  oneOf,
  optional,
  record,
  sizedTensor,
  symbolicSize,
  tensor,
  text,
} from "./fields.ts";
import { keyOf, manifestFile } from "./vouch.ts";

/** Made when somebody loads a bundle, so that bundlers can leave it away. */
function manifestCheck(): Check {
  const identifier = matching(/^[A-Za-z_$][\w$]*$/, "an identifier");
  const index = below(memoryLimit);
  const bound = below(2 ** 31);
  const source = record({ kind: oneOf("arg", "const", "state", "stateOut", "result"), index });
  const wasmBuild = oneOf("simd", "relaxed-simd");
  const limit: Check = (value, path) => {
    if (typeof value !== "number") bad(path, "a number", value);
  };
  const part: Check = (value, path) => {
    if (!((value as number) >= 0 && (value as number) <= 1)) bad(path, "from 0 to 1", value);
  };
  const file = record({
    file: matching(/^\w[\w.-]*$/, "a file in the same folder"),
    bytes: index,
    crc32: matching(/^[\da-f]{8}$/, "eight hexadecimal digits"),
  });
  /** Where no size is that of a call, the tensor must fit in a memory. */
  const perhapsSized: Check = (value, path) => {
    record({ shape: list(symbolicSize) })(value, path);
    const { shape } = value as TensorEntry<SizeEntry>;
    (shape.every((size) => typeof size === "number") ? tensor : sizedTensor)(value, path);
  };
  const build: Check = (value, path) => {
    both(file, record({ build: oneOf("simd", "relaxed-simd", "webgpu"), features: list(text) }))(value, path);
    if ((value as { readonly build: unknown }).build === "webgpu")
      record({ dispatch: file, limits: fields(limit) })(value, path);
  };
  const stored = both(tensor, record({ name: text, address: optional(both(index, multiple)) }));
  const trees: Readonly<Record<string, Check>> = {
    tensor: both(perhapsSized, record({ index })),
    static: record({
      value: (value, path) => value === null || oneOf("string", "number", "boolean")(typeof value, path),
    }),
    special: record({ value: oneOf("undefined", "-0", "NaN", "Infinity", "-Infinity") }),
    array: record({ items: list(tree) }),
    object: record({ keys: list(text), items: list(tree) }),
  };

  const manifest = record({
    format: oneOf("sinter-bundle"),
    abi: (value, path) => {
      if (value !== 1) bad(path, "1, the version that this loader knows", value);
    },
    name: text,
    builds: list(build),
    weights: optional(file),
    variables: list(both(stored, record({ trainable: flag }))),
    constants: list(stored),
    functions: list(
      record({
        name: identifier,
        sizes: optional(list(record({ name: identifier, lo: bound, hi: bound }))),
        elements: optional(list(symbolicSize)),
        entry: text,
        params: list(record({ name: identifier, tree })),
        result: tree,
        slots: list(
          both(
            perhapsSized,
            record({ kind: oneOf("arena", "const", "arg", "state", "stateOut", "result", "sym"), index }),
          ),
        ),
        constants: list(index),
        states: list(
          record({ variable: index, out: (value, path) => value === -1 || index(value, path), from: optional(source) }),
        ),
        outs: list(source),
        check: optional(record({ result: index, messages: list(text) })),
      }),
    ),
    calls: list(record({ kind: oneOf("print"), format: list(text), operands: list(tensor) })),
    selfTest: optional(
      both(
        file,
        record({
          calls: list(record({ function: text })),
          recorded: record({ build: wasmBuild, fused: flag }),
          tolerance: record({ f32: part, f64: part, i32: part, u32: part, bool: part }),
        }),
      ),
    ),
  });

  function multiple(value: unknown, path: string): void {
    if ((value as number) % 64 !== 0) bad(path, "a multiple of 64", value);
  }

  function tree(value: unknown, path: string): void {
    record({ kind: oneOf(...Object.keys(trees)) })(value, path);
    trees[(value as TreeEntry).kind]!(value, path);
  }
  return manifest;
}

/** Throws a `BundleError` for whatever a loader could not rely on. */
export function checkManifest(manifest: Manifest): void {
  try {
    manifestCheck()(manifest, "");
    checkReferences(manifest);
  } catch (error) {
    // Nesting without end is a RangeError here.
    throw error instanceof BundleError ? error : new BundleError(`${manifestFile}: ${messageOf(error)}`);
  }
}

function checkReferences(manifest: Manifest): void {
  const { variables, constants, functions, weights, selfTest, calls, builds } = manifest;
  if (builds.length === 0) bad("builds", "one at least");
  if (functions.length === 0) bad("functions", "one at least");
  const all = [...variables, ...constants];
  distinct(
    all.map(({ name }) => name),
    "variables and constants",
  );
  distinct(
    functions.map(({ name }) => name),
    "functions",
  );
  for (const { name, address } of all)
    if (weights === undefined && address === undefined)
      bad(`the address of ${JSON.stringify(name)}`, "given, as there are no weights");
  for (const [i, f] of functions.entries()) new References(f, `functions[${i}]`).check(variables, constants);
  for (const [i, { format, operands }] of calls.entries())
    if (format.length !== operands.length + 1) bad(`calls[${i}].format`, "one text more than there are operands");
  for (const call of selfTest?.calls ?? [])
    oneOf(...functions.map(({ name }) => name))(call.function, "selfTest.calls");
}

function distinct(items: readonly unknown[], path: string): void {
  if (new Set(items).size < items.length) bad(path, "distinct");
}

type Typed = TensorEntry<SizeEntry>;

/** How the tensors of a function are connected. */
class References {
  readonly #path: string;
  readonly #f: FunctionEntry;
  readonly #types = new Map<string, Typed>();

  constructor(f: FunctionEntry, path: string) {
    this.#f = f;
    this.#path = path;
  }

  check(variables: readonly TensorEntry[], constants: readonly TensorEntry[]): void {
    const { slots, params, result, states, outs, check } = this.#f;
    const path = this.#path;
    distinct(slots.map(keyOf), `${path}.slots`);
    distinct(
      params.map(({ name }) => name),
      `${path}.params`,
    );
    for (const slot of slots) this.#types.set(keyOf(slot), slot);
    const args = leaves(
      params.map(({ tree }) => tree),
      `${path}.params`,
    );
    this.#sizes(args);
    const before = states.map(({ variable }) => variables[variable]);
    const written = states.filter(({ out }) => out >= 0);
    distinct(
      states.map(({ variable }) => variable),
      `${path}.states`,
    );
    distinct(
      written.map(({ out }) => out),
      `${path}.states`,
    );
    this.#kind("arena", slots.filter(({ kind }) => kind === "arena").slice(0, 1));
    this.#kind("arg", args);
    this.#kind(
      "const",
      this.#f.constants.map((at) => constants[at]),
    );
    this.#kind("state", before);
    const news: (Typed | undefined)[] = [];
    for (const [i, { out, from }] of states.entries()) {
      if (out >= 0) news[Math.min(out, states.length)] = before[i];
      if (from !== undefined) this.#fits(from, before[i], `states[${i}].from`);
      if (from !== undefined && out >= 0) bad(`${path}.states[${i}]`, "without from, or with an out of -1");
    }
    this.#kind("stateOut", news);
    const wanted = leaves([result], `${path}.result`);
    if (outs.length !== wanted.length) bad(`${path}.outs`, `a list of ${wanted.length}, as tensors in the result`);
    for (const [i, out] of outs.entries()) this.#fits(out, wanted[i], `outs[${i}]`);
    if (check !== undefined)
      this.#fits({ kind: "result", index: check.result }, { dtype: "i32", shape: [] }, "check.result");
  }

  /** Every size must be told by an argument, every name be that of a size. */
  #sizes(args: readonly Typed[]): void {
    const { sizes = [], slots, result, elements = [] } = this.#f;
    const path = this.#path;
    const names = sizes.map(({ name }) => name);
    distinct(names, `${path}.sizes`);
    for (const [i, { name, lo, hi }] of sizes.entries()) {
      if (lo > hi) bad(`${path}.sizes[${i}].lo`, `${hi} at most`, lo);
      if (!args.some(({ shape }) => shape.includes(name))) bad(`${path}.sizes[${i}]`, "the size of an argument", name);
    }
    for (const size of args.flatMap(({ shape }) => shape))
      if (typeof size === "object") bad(`${path}.params`, "of sizes that are numbers or names", size);
    const known = (size: SizeEntry): void => {
      if (typeof size === "string" && !names.includes(size)) bad(path, "without names of other sizes", size);
      if (typeof size === "object") [size[1], size[2]].forEach(known);
    };
    for (const { shape } of [...slots, ...args, ...leaves([result], `${path}.result`)]) shape.forEach(known);
    elements.forEach(known);
    for (const slot of slots.filter(({ kind }) => kind === "sym")) {
      if (slot.index >= names.length) bad(`${path}.slots`, `with ${names.length} of kind sym at most`);
      this.#fits(slot, { dtype: "u32", shape: [] }, `slots, sym ${slot.index}`);
    }
  }

  /** The slots of a kind must be these, one for each. */
  #kind(kind: string, wanted: readonly (Typed | undefined)[]): void {
    const count = this.#f.slots.filter((slot) => slot.kind === kind).length;
    if (count !== wanted.length) bad(`${this.#path}.slots`, `with ${wanted.length} of kind ${kind}, not ${count}`);
    for (let i = 0; i < count; i++) this.#fits({ kind, index: i }, wanted[i], `slots, ${kind} ${i}`);
  }

  #fits(at: { readonly kind: string; readonly index: number }, wanted: Typed | undefined, field: string): void {
    const found = this.#types.get(keyOf(at));
    if (found === undefined || wanted === undefined || typeText(found) !== typeText(wanted))
      bad(`${this.#path}.${field}`, typeText(wanted), typeText(found));
  }
}

/** The tensors of trees by their numbers, which must be 0, 1, ..., each once. */
function leaves(roots: readonly TreeEntry[], path: string): Typed[] {
  const found: (Typed & { readonly index: number })[] = [];
  const visit = (at: TreeEntry): void => {
    if (at.kind === "tensor") found.push(at);
    if (at.kind === "object") {
      distinct(at.keys, `${path}: keys of an object`);
      if (at.keys.length !== at.items.length) bad(`${path}: keys of an object`, "one for each item");
    }
    if ("items" in at) at.items.forEach(visit);
  };
  roots.forEach(visit);
  found.sort((a, b) => a.index - b.index);
  for (const [i, at] of found.entries()) if (at.index !== i) bad(path, `with a tensor number ${i} once`);
  return found;
}
