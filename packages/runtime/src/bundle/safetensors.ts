/**
 * Reads and writes safetensors files (https://github.com/huggingface/safetensors): the length of a JSON header as eight
 * bytes, the header, then the elements of all tensors without gaps. Imports nothing, so that a bundle can carry it.
 */
import type { DType, TypedArray } from "@sinter/ir/program";
import { elementBytes, sizeOf, typeText, viewOf } from "./loader/dtypes.ts";
import { isCount, isObject, parseJson, quoted } from "./loader/json.ts";

/** What the reference implementation takes at most. */
const maximumHeader = 100_000_000;
const dtypeNames: Readonly<Record<DType, string>> = { f32: "F32", f64: "F64", i32: "I32", u32: "U32", bool: "BOOL" };
const metadataKey = "__metadata__";

/** Thrown for a file that is no safetensors file, or holds what Sinter does not know. */
export class SafetensorsError extends Error {
  override readonly name = "SafetensorsError";
}

/** A tensor in a file: where it is. */
export interface StoredTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Its elements, little-endian, as a view of the file. The address may fit no typed array: `dataOf` copies. */
  readonly bytes: Uint8Array;
}

export interface Safetensors {
  /** In the order of their elements. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

export interface NamedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/** A copy of a tensor's elements. */
export function dataOf({ dtype, shape, bytes }: StoredTensor): TypedArray {
  // Not slice(): that of a Node Buffer copies nothing.
  return viewOf(dtype, new Uint8Array(bytes).buffer, 0, sizeOf(shape));
}

/**
 * Reads a file; tensors are views of it. `file` names it in errors. Throws `SafetensorsError` for whatever is not
 * exactly right: lengths, JSON, names given twice, shapes, and elements that overlap, leave gaps or are not aligned.
 */
export function readSafetensors(bytes: Uint8Array, file = "safetensors"): Safetensors {
  const metadata = new Map<string, string>();
  const tensors = readTensors(bytes, file, (entry, fail) => {
    const texts = isObject(entry) ? entry : fail(`${metadataKey} is no object`);
    for (const [key, value] of Object.entries(texts))
      metadata.set(key, typeof value === "string" ? value : fail(`${metadataKey}: ${quoted(key)} is no text`));
  });
  return { tensors, metadata };
}

/** The tensors of a file alone, as `readSafetensors`. */
export function readTensors(
  given: Uint8Array,
  file: string,
  readMetadata?: (entry: unknown, fail: (why: string) => never) => void,
): Safetensors["tensors"] {
  // Node's buffers, which `slice` shares and does not copy, are seen as plain bytes.
  const bytes = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  const fail = (why: string): never => {
    throw new SafetensorsError(`${file}: ${why}`);
  };
  if (bytes.length < 8) fail(`${bytes.length} bytes are too few for a header`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > maximumHeader || length > bytes.length - 8)
    fail(
      `the header says that it is ${length} bytes long; ${bytes.length - 8} follow, and at most ${maximumHeader} are read`,
    );
  const header = parseHeader(bytes.subarray(8, 8 + length), fail);
  const data = bytes.subarray(8 + length);
  const tensors: [number, string, StoredTensor][] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === metadataKey) readMetadata?.(entry, fail);
    else tensors.push(readEntry(name, entry, data, (why) => fail(`tensor ${quoted(name)}: ${why}`)));
  }
  // Empty tensors stand before others that begin where they do.
  tensors.sort(([a, , x], [b, , y]) => a - b || x.bytes.length - y.bytes.length);
  let end = 0;
  for (const [begin, name, tensor] of tensors) {
    if (begin !== end) fail(`tensor ${quoted(name)} begins at ${begin}, but the one before ends at ${end}`);
    end += tensor.bytes.length;
  }
  if (end !== data.length) fail(`the tensors end at ${end}, the file has ${data.length} bytes of elements`);
  return new Map(tensors.map(([, name, tensor]) => [name, tensor]));
}

function parseHeader(bytes: Uint8Array, fail: (why: string) => never): Readonly<Record<string, unknown>> {
  let header: unknown;
  try {
    header = parseJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    fail(`the header is no JSON: ${(error as Error).message}`);
  }
  return isObject(header) ? header : fail("the header is no JSON object");
}

function readEntry(
  name: string,
  entry: unknown,
  data: Uint8Array,
  fail: (why: string) => never,
): [begin: number, name: string, tensor: StoredTensor] {
  if (!isObject(entry)) return fail("its entry is no object");
  const dtype = (Object.keys(dtypeNames) as DType[]).find((known) => dtypeNames[known] === entry["dtype"]);
  if (dtype === undefined)
    return fail(`dtype ${show(entry["dtype"])} is none of ${Object.values(dtypeNames).join(", ")}`);
  const shape = entry["shape"];
  if (!Array.isArray(shape) || !shape.every(isCount)) return fail(`shape ${show(shape)} is no list of sizes`);
  const offsets = entry["data_offsets"];
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    return fail(`data_offsets ${show(offsets)} are not two positions`);
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > data.length)
    fail(`data_offsets ${begin} to ${end} are outside the ${data.length} bytes of elements`);
  const bytes = sizeOf(shape) * elementBytes[dtype];
  if (bytes !== end - begin)
    fail(`${typeText({ dtype, shape })} is ${bytes} bytes, but data_offsets say ${end - begin}`);
  if (begin % elementBytes[dtype] !== 0) fail(`data_offsets begin at ${begin}, which is not aligned for ${dtype}`);
  const own = data.subarray(begin, end);
  if (dtype === "bool" && own.some((value) => value > 1)) fail("a truth value is neither 0 nor 1");
  return [begin, name, { dtype, shape, bytes: own }];
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

/**
 * The file that holds the tensors: the same bytes whatever their order. Throws `SafetensorsError` for a name that is given
 * twice or reserved, and for data that does not have its shape's size.
 */
export function writeSafetensors(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const names = new Set([metadataKey]);
  for (const { name, dtype, shape, data } of tensors) {
    const label = JSON.stringify(name);
    if (names.has(name)) throw new SafetensorsError(`writeSafetensors: the name ${label} is taken`);
    names.add(name);
    if (data.length !== sizeOf(shape) || data.byteLength !== data.length * elementBytes[dtype])
      throw new SafetensorsError(
        `writeSafetensors: ${label} is ${typeText({ dtype, shape })}, but has ${data.length} elements in ${data.byteLength} bytes`,
      );
  }
  const notes = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  const texts = notes.map((pair) => pair.map((text) => JSON.stringify(text)).join(":"));
  return packTensors(tensors, notes.length > 0 ? [`"${metadataKey}":{${texts.join()}}`] : []);
}

/** As `writeSafetensors`, for tensors that are known to be right. `entries`: what the header begins with. */
export function packTensors(tensors: readonly NamedTensor[], entries: string[] = []): Uint8Array<ArrayBuffer> {
  // Wide elements first keeps all of them aligned.
  const sorted = [...tensors].sort(
    (a, b) => elementBytes[b.dtype] - elementBytes[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  let end = 0;
  for (const { name, dtype, shape, data } of sorted) {
    const offsets = [end, (end += data.byteLength)];
    entries.push(`${quoted(name)}:${quoted({ dtype: dtypeNames[dtype], shape, data_offsets: offsets })}`);
  }
  const header = new TextEncoder().encode(`{${entries.join()}}`);
  const start = 8 + Math.ceil(header.length / 8) * 8;
  const out = new Uint8Array(start + end).fill(32, 8, start);
  new DataView(out.buffer).setBigUint64(0, BigInt(start - 8), true);
  out.set(header, 8);
  end = start;
  for (const { data } of sorted) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), end);
    end += data.byteLength;
  }
  return out;
}
