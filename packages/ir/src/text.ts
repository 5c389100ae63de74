/**
 * How the pieces of graph text are written: types, sizes, numbers, attributes. `print.ts` puts them together and
 * `parse.ts` reads them back. Everything here is canonical: equal things have equal text.
 */
import type { AttrKind } from "./define-op.ts";
import type { DType, TypedArray } from "./dtype.ts";
import type { Attrs, AttrValue, ValueType } from "./graph.ts";
import type { Dim } from "./nest/expr.ts";

/** Constants with more elements are not written out: text holds a name for them instead. */
export const inlineElements = 64;

export function dimText(dim: Dim): string {
  return typeof dim === "number" ? String(dim) : dim.key;
}

export function typeText(type: ValueType): string {
  return type.kind === "token" ? "token" : `${type.dtype}[${type.shape.map(dimText).join(",")}]`;
}

export function sameType(a: ValueType, b: ValueType): boolean {
  return a === b || typeText(a) === typeText(b);
}

/** Shortest decimal that reads back as the same number; NaNs come from `dataText`, which sees their bits. */
export function numberText(value: number, dtype: DType = "f64"): string {
  if (Number.isNaN(value)) return "nan";
  if (Object.is(value, -0)) return "-0";
  if (value === Number.POSITIVE_INFINITY) return "inf";
  if (value === Number.NEGATIVE_INFINITY) return "-inf";
  if (dtype !== "f32" || (Number.isInteger(value) && Math.abs(value) < 2 ** 24)) return String(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

const canonicalNaN32 = 0x7fc00000;
const canonicalNaN64 = 0x7ff8000000000000n;

/** The elements of a constant. NaNs other than the canonical one print their bits, so that nothing is lost. */
export function dataText(data: TypedArray): string {
  const out: string[] = [];
  if (data instanceof Float32Array) {
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
    data.forEach((x, i) => {
      out.push(
        !Number.isNaN(x) || bits[i] === canonicalNaN32
          ? numberText(x, "f32")
          : `nan:0x${bits[i]!.toString(16).padStart(8, "0")}`,
      );
    });
  } else if (data instanceof Float64Array) {
    const bits = new BigUint64Array(data.buffer, data.byteOffset, data.length);
    data.forEach((x, i) => {
      out.push(
        !Number.isNaN(x) || bits[i] === canonicalNaN64
          ? numberText(x)
          : `nan:0x${bits[i]!.toString(16).padStart(16, "0")}`,
      );
    });
  } else for (const x of data) out.push(String(x));
  return `[${out.join(",")}]`;
}

/** Every NaN gets the same bits: which ones an engine stores depends on its tier, and text must not. Changes `data`. */
export function canonicalizeNaNs(data: TypedArray): void {
  if (data instanceof Float32Array) {
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
    data.forEach((x, i) => {
      if (Number.isNaN(x)) bits[i] = canonicalNaN32;
    });
  } else if (data instanceof Float64Array) {
    const bits = new BigUint64Array(data.buffer, data.byteOffset, data.length);
    data.forEach((x, i) => {
      if (Number.isNaN(x)) bits[i] = canonicalNaN64;
    });
  }
}

/** Bytes of a typed array, without a copy. */
export function bytesView(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Same element type and same bits. */
export function sameData(a: TypedArray, b: TypedArray): boolean {
  if (a === b) return true;
  if (a.constructor !== b.constructor || a.length !== b.length) return false;
  const [x, y] = [bytesView(a), bytesView(b)];
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false;
  return true;
}

/** 64 bits in hexadecimal. A label only: whoever needs identity compares the data too. */
export function dataHash(data: TypedArray): string {
  let h1 = 0x811c9dc5;
  let h2 = 0x9747b28c;
  for (const byte of bytesView(data)) {
    h1 = Math.imul(h1 ^ byte, 0x01000193);
    h2 = Math.imul(h2 ^ (h2 >>> 15) ^ byte, 0x85ebca6b);
  }
  h2 ^= h2 >>> 13;
  return (h1 >>> 0).toString(16).padStart(8, "0") + (h2 >>> 0).toString(16).padStart(8, "0");
}

/** Names a constant too large to write out. */
export type NameData = (data: TypedArray) => string;

export const nameByHash: NameData = (data) => `hash:${dataHash(data)}`;

function listText(list: readonly (Dim | readonly number[])[]): string {
  return `[${list.map((x) => (Array.isArray(x) ? listText(x) : dimText(x as Dim))).join(",")}]`;
}

/** In quotes, on one line, of printable characters only. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function attrText(kind: AttrKind, value: NonNullable<AttrValue>, name: NameData): string {
  if (ArrayBuffer.isView(value)) return value.length > inlineElements ? name(value) : dataText(value);
  if (kind === "texts") return `[${(value as readonly string[]).map(quoted).join(",")}]`;
  if (Array.isArray(value)) return listText(value as readonly (Dim | readonly number[])[]);
  if (kind === "float") return numberText(value as number);
  return String(value);
}

/** `{a=1, b=[2,3]}` in the order of the op's entry, without absent attributes; empty where there are none. */
export function attrsText(kinds: Readonly<Record<string, AttrKind>>, attrs: Attrs, name: NameData): string {
  const out: string[] = [];
  for (const [key, kind] of Object.entries(kinds)) {
    const value = attrs[key];
    if (value !== undefined) out.push(`${key}=${attrText(kind, value, name)}`);
  }
  return out.length === 0 ? "" : `{${out.join(", ")}}`;
}
