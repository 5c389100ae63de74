/**
 * Looks at every field of `dispatch.json`, and whether every number in it leads somewhere: for the library, which loads what
 * others wrote. What shaders do is the device's to check, which lets none reach outside of its buffers.
 */
import { type DispatchFunction, type DispatchPlan, dispatchFile } from "../dispatch.ts";
import type { Manifest, SizeEntry, TensorEntry } from "../manifest.ts";
import { memoryLimit, typeText } from "./dtypes.ts";
import { BundleError, messageOf } from "./errors.ts";
import { bad, below, both, type Check, flag, list, oneOf, optional, record, symbolicSize, text } from "./fields.ts";
import { keyOf, manifestFile } from "./vouch.ts";

type Step = DispatchFunction["steps"][number];

/** Throws a `BundleError` for whatever the executor could not rely on. */
export function checkPlan(plan: DispatchPlan, manifest: Manifest): void {
  try {
    const position = below(memoryLimit);
    record({
      shaders: list(record({ label: text, buffers: list(oneOf("read", "read_write")), params: flag, gated: flag })),
      functions: list(record({ shaders: list(below(lengthOf(plan.shaders))), constants: list(position) })),
    })(plan, "");
    if (plan.functions.length !== manifest.functions.length)
      bad("functions", `a list of ${manifest.functions.length}, as in ${manifestFile}`);
    for (const [i, f] of plan.functions.entries()) checkFunction(f, plan, manifest, i);
  } catch (error) {
    // Nesting without end is a RangeError here.
    const why = messageOf(error);
    throw new BundleError(
      `${dispatchFile}: ${error instanceof BundleError ? why.replace(`${manifestFile}: `, "") : why}`,
    );
  }
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

/** A number of bytes or elements, or how it is computed. */
const size: Check = (value, path) => {
  const isSymbolic = typeof value === "object" && value !== null;
  if (isSymbolic) record({ size: symbolicSize })(value, path);
  else if (!Number.isSafeInteger(value)) bad(path, "a whole number", value);
};

function checkFunction(f: DispatchFunction, plan: DispatchPlan, manifest: Manifest, i: number): void {
  const path = `functions[${i}]`;
  const entry = manifest.functions[i]!;
  const dtype = oneOf("f32", "i32", "u32", "bool");
  const typed = record({ dtype, shape: list(size) });
  const value = record({ dtype, shape: list(below(memoryLimit)) });
  const slot = both(
    typed,
    record({
      kind: oneOf("arena", "const", "arg", "state", "stateOut", "result", "sym"),
      index: below(memoryLimit),
      bytes: size,
    }),
  );
  record({
    name: oneOf(entry.name),
    arenaBytes: size,
    slots: list(slot),
    calls: list(record({ kind: oneOf("print"), format: list(text), operands: list(value), results: list(value) })),
  })(f, path);
  const ids = new Set(
    (Array.isArray(f.buffers) ? f.buffers : bad(`${path}.buffers`, "a list", f.buffers)).map((buffer) => buffer?.id),
  );
  const buffer: Check = (id, at) => {
    if (!ids.has(id as number)) bad(at, "the id of a buffer", id);
  };
  const places: Readonly<Record<string, Check>> = {
    arena: record({ offset: size, bytes: size }),
    slot: record({ slot: below(f.slots.length), bytes: size }),
    same: record({ as: buffer }),
    none: () => {},
  };
  const place: Check = (at, where) => {
    record({ kind: oneOf(...Object.keys(places)) })(at, where);
    places[(at as { readonly kind: string }).kind]!(at, where);
  };
  list(
    record({
      id: below(memoryLimit),
      place,
      dtype,
      elements: size,
      slice: optional(record({ of: buffer, counter: buffer, reverse: flag })),
    }),
  )(f.buffers, `${path}.buffers`);
  const ranges: Check = (at, where) => {
    record({ kind: oneOf("buffer", "scratch") })(at, where);
    const isBuffer = (at as { readonly kind: string }).kind === "buffer";
    (isBuffer ? record({ buffer }) : record({ offset: size, bytes: size }))(at, where);
  };
  const words: Readonly<Record<string, Check>> = {
    start: record({ buffer }),
    place: record({ buffer }),
    offset: record({ bytes: size }),
    round: record({ counter: buffer }),
    sym: record({ name: oneOf(...(entry.sizes ?? []).map(({ name }) => name)) }),
  };
  const word: Check = (at, where) => {
    record({ kind: oneOf(...Object.keys(words)) })(at, where);
    words[(at as { readonly kind: string }).kind]!(at, where);
  };
  const steps: Check = (at, where) => list(step)(at, where);
  const kinds: Readonly<Record<Step["kind"], Check>> = {
    dispatch: both(
      record({ shader: below(f.shaders.length), ranges: list(ranges), params: list(word), groups: size }),
      (at, where) => {
        const { shader, ranges: bound } = at as Extract<Step, { kind: "dispatch" }>;
        const { buffers } = plan.shaders[f.shaders[shader]!]!;
        if (bound.length !== buffers.length)
          bad(`${where}.ranges`, `a list of ${buffers.length}, as its shader's buffers`);
      },
    ),
    host: record({ call: below(f.calls.length), operands: list(buffer), results: list(buffer) }),
    copy: record({ from: buffer, to: buffer }),
    swap: record({ a: buffer, b: buffer }),
    if: record({ index: buffer, branches: list(steps) }),
    for: record({ count: size, counter: buffer, body: steps }),
    while: record({ test: steps, predicate: buffer, body: steps }),
  };
  function step(at: unknown, where: string): void {
    record({ kind: oneOf(...Object.keys(kinds)) })(at, where);
    kinds[(at as Step).kind](at, where);
  }
  steps(f.steps, `${path}.steps`);
  checkSlots(f, manifest, i);
}

/** The slots that come and go must be those of the manifest, and constants of their types. */
function checkSlots(f: DispatchFunction, { functions, constants }: Manifest, i: number): void {
  const path = `functions[${i}].slots`;
  const plainSize = (at: DispatchFunction["slots"][number]["shape"][number]): SizeEntry =>
    typeof at === "number" ? at : at.size;
  const known = new Map<string, string>();
  for (const slot of f.slots) {
    const key = keyOf(slot);
    if (known.has(key)) bad(path, "distinct");
    const type: TensorEntry<SizeEntry> = { dtype: slot.dtype, shape: slot.shape.map(plainSize) };
    known.set(key, typeText(type));
    if (slot.kind === "const") {
      const constant = constants[f.constants[slot.index]!];
      if (typeText(constant) !== typeText(type)) bad(`${path}, ${key}`, typeText(constant), typeText(type));
    }
  }
  const wanted = functions[i]!.slots.filter(({ kind }) => !["arena", "const", "sym"].includes(kind));
  for (const slot of wanted)
    if (known.get(keyOf(slot)) !== typeText(slot))
      bad(`${path}, ${keyOf(slot)}`, typeText(slot), known.get(keyOf(slot)));
  const others = f.slots.filter(({ kind }) => !["arena", "const", "sym"].includes(kind)).length;
  if (others !== wanted.length) bad(path, `with ${wanted.length} tensors that come or go, not ${others}`);
}
