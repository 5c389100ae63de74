/** Turns the bytes of a manifest into one that can be relied on: every field has been looked at, every index leads somewhere. */
import type { DType } from "@sinter/ir/program";
import {
  type BuildFile,
  type BuildName,
  bundleAbi,
  bundleFormat,
  type ConstantEntry,
  type FileEntry,
  type FunctionEntry,
  type Manifest,
  type SlotEntry,
  type Source,
  type TensorEntry,
  type TreeEntry,
} from "../manifest.ts";
import { crc32 } from "./crc32.ts";
import { typeText } from "./dtypes.ts";
import { messageOf } from "./errors.ts";
import { Field, memoryLimit } from "./fields.ts";
import { parseJson } from "./json.ts";

export const manifestFile = "manifest.json";
/** How the file ends: the checksum's eight digits take the place of the x. */
export const manifestEnd = '"crc32": "xxxxxxxx"\n}\n';
const identifier = /^[A-Za-z_$][\w$]*$/;
const deepest = 64;
const mostTensors = 1 << 20;
const buildNames: readonly BuildName[] = ["simd", "relaxed-simd"];
const sourceKinds = ["arg", "const", "state", "stateOut", "result"] as const;
const slotKinds = ["arena", ...sourceKinds] as const;

/** Throws a `BundleError` for whatever a loader could not rely on. */
export function checkManifest(bytes: Uint8Array): Manifest {
  const root = new Field(manifestFile, "", undefined);
  const body = bytes.subarray(0, Math.max(0, bytes.length - manifestEnd.length));
  const end = new TextDecoder().decode(bytes.subarray(body.length));
  if (end !== manifestEnd.replace("xxxxxxxx", crc32(body)))
    root.fail("is incomplete or altered: its checksum is not that of its contents");
  let value: unknown;
  try {
    value = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    root.fail(`is no JSON: ${messageOf(error)}`);
  }
  return readManifest(new Field(manifestFile, "", value));
}

function readManifest(m: Field): Manifest {
  const format = m.get("format").oneOf([bundleFormat]);
  const abi = m.get("abi");
  if (abi.value !== bundleAbi)
    abi.fail(`is ${JSON.stringify(abi.value)}, but this loader knows version ${bundleAbi}: export the bundle again`);
  const weights = m.optional("weights", fileEntry);
  const names = new Set<string>();
  const constant = (field: Field): ConstantEntry => {
    const name = unique(field.get("name"), names);
    const type = field.tensor();
    const address = field.optional("address", (at) => at.count(memoryLimit));
    if (address === undefined && weights === undefined) field.fail("has no address, and there are no weights");
    if (address !== undefined && address % 64 !== 0) field.get("address").fail("must be a multiple of 64");
    return { name, ...type, ...(address === undefined ? {} : { address }) };
  };
  const variables = m.get("variables").list((f) => ({ ...constant(f), trainable: f.get("trainable").flag() }));
  const constants = m.get("constants").list(constant);
  const functionNames = new Set<string>();
  const functions = m.get("functions").list((f) => {
    unique(f.get("name"), functionNames, identifier);
    return new FunctionReader(f, variables, constants).read();
  }, 1);
  const license = m.optional("license", (f) => f.text());
  const selfTest = m.optional("selfTest", (f) => ({
    ...fileEntry(f),
    calls: f.get("calls").list((call) => ({ function: call.get("function").oneOf([...functionNames]) })),
    recorded: {
      build: f.get("recorded").get("build").oneOf(buildNames),
      fused: f.get("recorded").get("fused").flag(),
    },
    tolerance: tolerances(f.get("tolerance")),
  }));
  return {
    format,
    abi: bundleAbi,
    name: m.get("name").text(),
    sinter: m.get("sinter").text(),
    ...(license === undefined ? {} : { license }),
    ...(weights === undefined ? {} : { weights }),
    variables,
    constants,
    functions,
    calls: m.get("calls").list((f) => {
      const kind = f.get("kind").oneOf(["print"] as const);
      const operands = f.get("operands").list((operand) => operand.tensor());
      const pieces = f.get("format");
      const format = pieces.list((piece) => piece.text());
      if (format.length !== operands.length + 1) pieces.fail(`must have one text more than there are operands`);
      return { kind, format, operands };
    }),
    ...(selfTest === undefined ? {} : { selfTest }),
    builds: m.get("builds").list(
      (f): BuildFile => ({
        ...fileEntry(f),
        build: f.get("build").oneOf(buildNames),
        features: f.get("features").list((feature) => feature.text()),
      }),
      1,
    ),
    crc32: m.get("crc32").text(),
  };
}

export function fileEntry(f: Field, pattern = /^\w[\w.-]*$/): FileEntry {
  return {
    file: f.get("file").text(pattern, "a file in the same folder"),
    bytes: f.get("bytes").count(memoryLimit),
    crc32: f.get("crc32").text(/^[\da-f]{8}$/, "eight hexadecimal digits"),
  };
}

function unique(f: Field, taken: Set<string>, pattern?: RegExp): string {
  const name = f.text(pattern, "an identifier");
  if (taken.has(name)) f.fail(`${JSON.stringify(name)} stands for two things`);
  taken.add(name);
  return name;
}

function tolerances(f: Field): Record<DType, number> {
  const read = (dtype: DType): number => {
    const { value } = f.get(dtype);
    return typeof value === "number" && value >= 0 && value <= 1 ? value : f.get(dtype).fail("must be from 0 to 1");
  };
  return { f32: read("f32"), f64: read("f64"), i32: read("i32"), u32: read("u32"), bool: read("bool") };
}

/** One function: that trees, table and wiring fit each other, and the bundle's variables and constants. */
class FunctionReader {
  private readonly f: Field;
  private readonly variables: readonly TensorEntry[];
  private readonly allConstants: readonly TensorEntry[];
  private readonly args: TensorEntry[] = [];
  private constants: readonly number[] = [];
  private stateVariables: readonly number[] = [];
  private readonly slots = new Map<string, SlotEntry>();

  constructor(f: Field, variables: readonly TensorEntry[], constants: readonly TensorEntry[]) {
    this.f = f;
    this.variables = variables;
    this.allConstants = constants;
  }

  read(): FunctionEntry {
    const { f } = this;
    const params = f.get("params").list((param) => ({
      name: param.get("name").text(identifier, "an identifier"),
      tree: readTree(param.get("tree"), this.args),
    }));
    this.dense(f.get("params"), this.args);
    const outTypes: TensorEntry[] = [];
    const result = readTree(f.get("result"), outTypes);
    this.dense(f.get("result"), outTypes);
    this.constants = f.get("constants").list((index) => index.count(this.allConstants.length, "a constant's number"));
    this.stateVariables = f
      .get("states")
      .list((state) => state.get("variable").count(this.variables.length, "a variable's number"));
    if (new Set(this.stateVariables).size < this.stateVariables.length) f.get("states").fail("name a variable twice");
    const slots = f.get("slots").list((slot) => this.slot(slot));
    const states = f.get("states").list((state, i) => this.state(state, i));
    for (const slot of slots)
      if (slot.kind === "stateOut" && states.filter(({ out }) => out === slot.index).length !== 1)
        f.get("states").fail(`do not say once what becomes of stateOut ${slot.index}`);
    const outs = f.get("outs").list((out, i) => this.source(out, outTypes[i]));
    if (outs.length < outTypes.length) f.get("outs").fail(`must be ${outTypes.length}, as tensors in the result`);
    const check = f.optional("check", (at) => ({
      result: this.source(new Field(at.file, at.path, { kind: "result", index: at.get("result").value }), {
        dtype: "i32",
        shape: [],
      }).index,
      messages: at.get("messages").list((message) => message.text()),
    }));
    return {
      name: f.get("name").text(),
      entry: f.get("entry").text(),
      params,
      result,
      slots,
      constants: this.constants,
      states,
      outs,
      ...(check === undefined ? {} : { check }),
    };
  }

  /** Numbers of tensors in a tree must be 0, 1, ..., each once. */
  private dense(f: Field, types: readonly (TensorEntry | undefined)[]): void {
    for (let i = 0; i < types.length; i++) if (types[i] === undefined) f.fail(`have no tensor number ${i}`);
  }

  private slot(f: Field): SlotEntry {
    const kind = f.get("kind").oneOf(slotKinds);
    const type = f.tensor();
    const index = f.get("index").count(memoryLimit);
    const key = `${kind} ${index}`;
    if (this.slots.has(key)) f.fail(`is ${key} for the second time`);
    if (kind === "arena" && index > 0) f.fail("is a second arena");
    if (kind === "arg" || kind === "const" || kind === "state") fits(f, type, this.typeOf(kind, index));
    const slot = { kind, index, ...type };
    this.slots.set(key, slot);
    return slot;
  }

  private typeOf(kind: Source["kind"], index: number): TensorEntry | undefined {
    if (kind === "arg") return this.args[index];
    if (kind === "const") return this.allConstants[this.constants[index] ?? -1];
    if (kind === "state") return this.variables[this.stateVariables[index] ?? -1];
    return this.slots.get(`${kind} ${index}`);
  }

  private state(f: Field, i: number): FunctionEntry["states"][number] {
    const variable = this.stateVariables[i]!;
    const type = this.variables[variable]!;
    const out = f.get("out").value === -1 ? -1 : f.get("out").count(memoryLimit, "a stateOut's number or -1");
    if (out >= 0) fits(f.get("out"), type, this.typeOf("stateOut", out));
    const from = f.optional("from", (source) => this.source(source, type));
    if (from !== undefined && out >= 0) f.fail("has two new values");
    return { variable, out, ...(from === undefined ? {} : { from }) };
  }

  private source(f: Field, wanted: TensorEntry | undefined): Source {
    const kind = f.get("kind").oneOf(sourceKinds);
    const index = f.get("index").count(memoryLimit);
    fits(f, this.typeOf(kind, index), wanted);
    return { kind, index };
  }
}

function fits(f: Field, found: TensorEntry | undefined, wanted: TensorEntry | undefined): void {
  const text = (type: TensorEntry | undefined): string =>
    type === undefined ? "nothing" : typeText(type.dtype, type.shape);
  if (found === undefined || text(found) !== text(wanted))
    f.fail(`leads to ${text(found)} where ${text(wanted)} is wanted`);
}

/** A tree; the types of its tensors are put in `types` by number. */
function readTree(f: Field, types: TensorEntry[], depth = 0): TreeEntry {
  if (depth > deepest) f.fail("is nested too deeply");
  const kind = f.get("kind").oneOf(["tensor", "static", "special", "array", "object"]);
  const items = (): TreeEntry[] => f.get("items").list((item) => readTree(item, types, depth + 1));
  switch (kind) {
    case "tensor": {
      const index = f.get("index").count(mostTensors);
      if (types[index] !== undefined) f.get("index").fail(`${index} stands twice`);
      const type = f.tensor();
      types[index] = type;
      return { kind, index, ...type };
    }
    case "static": {
      const { value } = f.get("value");
      if (value !== null && !["string", "number", "boolean"].includes(typeof value))
        f.get("value").fail("must be a text, a number, true, false or null");
      return { kind, value: value as string | number | boolean | null };
    }
    case "special":
      return { kind, value: f.get("value").oneOf(["undefined", "-0", "NaN", "Infinity", "-Infinity"]) };
    case "array":
      return { kind, items: items() };
    default: {
      const keys = f.get("keys").list((key) => key.text());
      const inner = items();
      if (new Set(keys).size < keys.length || keys.length !== inner.length)
        f.get("keys").fail("must be distinct, one for each item");
      return { kind: "object", keys, items: inner };
    }
  }
}
