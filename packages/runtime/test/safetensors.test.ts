// The safetensors reader and writer: round trips, bytes, and every way in which a file can be wrong.
import { describe, expect, test } from "vitest";
import { dataOf, readSafetensors, SafetensorsError, writeSafetensors } from "../src/bundle/safetensors.ts";

const tensors = [
  { name: "mask", dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) },
  { name: "w", dtype: "f32", shape: [2, 2], data: Float32Array.of(1, -0, Number.NaN, 1e-45) },
  { name: "big", dtype: "f64", shape: [1], data: Float64Array.of(Math.PI) },
  { name: "__proto__", dtype: "i32", shape: [], data: Int32Array.of(-7) },
  { name: "none", dtype: "u32", shape: [0, 5], data: new Uint32Array(0) },
] as const;

/** A file with this header and so many bytes of elements. */
function fileOf(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const out = new Uint8Array(8 + text.length + data);
  new DataView(out.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  out.set(text, 8);
  return out;
}

test("what is written is read, whatever the order", () => {
  const bytes = writeSafetensors(tensors, { format: "sinter", a: "ä" });
  expect(writeSafetensors([...tensors].reverse(), { a: "ä", format: "sinter" })).toEqual(bytes);
  const read = readSafetensors(bytes);
  expect([...read.tensors.keys()]).toEqual(["big", "__proto__", "none", "w", "mask"]);
  expect([...read.metadata]).toEqual([
    ["a", "ä"],
    ["format", "sinter"],
  ]);
  for (const { name, dtype, shape, data } of tensors) {
    const stored = read.tensors.get(name)!;
    expect(stored).toMatchObject({ dtype, shape });
    expect(dataOf(stored)).toEqual(data);
  }
});

test("the bytes are those of the format", () => {
  const bytes = writeSafetensors([{ name: "a", dtype: "i32", shape: [1], data: Int32Array.of(258) }]);
  const header = '{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}  ';
  expect(Buffer.from(bytes).toString("latin1")).toBe(`8\0\0\0\0\0\0\0${header}\x02\x01\0\0`);
  expect(writeSafetensors([])).toEqual(fileOf("{}      "));
});

test("a file that starts anywhere in its buffer is read", () => {
  const bytes = writeSafetensors(tensors);
  const shifted = new Uint8Array(bytes.length + 3).subarray(3);
  shifted.set(bytes);
  expect(dataOf(readSafetensors(shifted).tensors.get("big")!)).toEqual(Float64Array.of(Math.PI));
  const pooled = Buffer.from(bytes);
  expect(dataOf(readSafetensors(pooled).tensors.get("big")!)).toEqual(Float64Array.of(Math.PI));
});

describe("a file that is wrong is an error that says how", () => {
  const f32 = (shape: string, offsets: string): string => `{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}`;
  const bad: readonly (readonly [string, Uint8Array, string])[] = [
    ["nothing", new Uint8Array(0), "0 bytes are too few for a header"],
    ["a cut length", new Uint8Array(7), "7 bytes are too few"],
    ["a cut header", fileOf("{}", 0, 3n), "says that it is 3 bytes long; 2 follow"],
    ["a huge header", fileOf("{}", 0, 1n << 40n), "at most 100000000 are read"],
    ["a negative header", fileOf("{}", 0, (1n << 64n) - 1n), "at most 100000000 are read"],
    ["an empty header", fileOf(""), "the header is no JSON"],
    ["no JSON", fileOf("{a}"), "the header is no JSON"],
    ["no UTF-8", fileOf(Uint8Array.of(0x7b, 0xff, 0x7d)), "the header is no JSON"],
    ["a list", fileOf("[]"), "the header is no JSON object"],
    ["null", fileOf("null"), "the header is no JSON object"],
    ["deep nesting", fileOf(`{"a":${"[".repeat(1e5)}${"]".repeat(1e5)}}`), 'tensor "a": its entry is no object'],
    ["a name twice", fileOf(`{"a":${f32("[0]", "[0,0]")},"\\u0061":${f32("[0]", "[0,0]")}}`), '"a" stands twice'],
    ["metadata twice", fileOf('{"__metadata__":{},"__metadata__":{}}'), '"__metadata__" stands twice'],
    ["metadata that is no object", fileOf('{"__metadata__":[]}'), "__metadata__ is no object"],
    ["metadata that is no text", fileOf('{"__metadata__":{"a":1}}'), '__metadata__: "a" is no text'],
    ["an entry that is no object", fileOf('{"a":1}'), 'tensor "a": its entry is no object'],
    ["no dtype", fileOf('{"a":{}}'), "dtype undefined is none of F32, F64, I32, U32, BOOL"],
    ["another dtype", fileOf('{"a":{"dtype":"F16"}}'), 'dtype "F16" is none of'],
    ["a dtype that every object has", fileOf('{"a":{"dtype":"constructor"}}'), 'dtype "constructor" is none of'],
    ["a shape that is no list", fileOf('{"a":{"dtype":"F32","shape":4}}'), "shape 4 is no list of sizes"],
    ["a negative size", fileOf(`{"a":${f32("[-1]", "[0,0]")}}`), "shape [-1] is no list of sizes"],
    ["half a size", fileOf(`{"a":${f32("[0.5]", "[0,2]")}}`, 2), "shape [0.5] is no list of sizes"],
    ["an endless size", fileOf(`{"a":${f32("[1e300]", "[0,4]")}}`, 4), "is no list of sizes"],
    [
      "sizes that overflow",
      fileOf(`{"a":${f32("[4294967296,4294967296,4294967296]", "[0,0]")}}`),
      "data_offsets say 0",
    ],
    ["no offsets", fileOf('{"a":{"dtype":"F32","shape":[]}}'), "data_offsets undefined are not two positions"],
    ["three offsets", fileOf(`{"a":${f32("[1]", "[0,4,4]")}}`, 4), "are not two positions"],
    ["negative offsets", fileOf(`{"a":${f32("[1]", "[-4,0]")}}`, 4), "are not two positions"],
    ["offsets in the wrong order", fileOf(`{"a":${f32("[1]", "[4,0]")}}`, 4), "data_offsets 4 to 0 are outside"],
    ["offsets past the end", fileOf(`{"a":${f32("[2]", "[0,8]")}}`, 4), "outside the 4 bytes of elements"],
    ["another size", fileOf(`{"a":${f32("[2]", "[0,4]")}}`, 4), "f32[2] is 8 bytes, but data_offsets say 4"],
    [
      "an overlap",
      fileOf(`{"a":${f32("[2]", "[0,8]")},"b":${f32("[2]", "[4,12]")}}`, 12),
      'tensor "b" begins at 4, but the one before ends at 8',
    ],
    [
      "a hole",
      fileOf(`{"a":${f32("[1]", "[0,4]")},"b":${f32("[1]", "[8,12]")}}`, 12),
      'tensor "b" begins at 8, but the one before ends at 4',
    ],
    ["a hole in front", fileOf(`{"a":${f32("[1]", "[4,8]")}}`, 8), 'tensor "a" begins at 4'],
    ["bytes behind", fileOf(`{"a":${f32("[1]", "[0,4]")}}`, 5), "the tensors end at 4, the file has 5 bytes"],
    [
      "elements that are not aligned",
      fileOf(`{"m":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},"a":${f32("[1]", "[1,5]")}}`, 5),
      "begin at 1, which is not aligned for f32",
    ],
  ];
  test.each(bad)("%s", (_name, bytes, message) => {
    expect(() => readSafetensors(bytes, "x.safetensors")).toThrow(SafetensorsError);
    expect(() => readSafetensors(bytes, "x.safetensors")).toThrow("x.safetensors: ");
    expect(() => readSafetensors(bytes, "x.safetensors")).toThrow(message);
  });

  test("a truth value of 2", () => {
    const bytes = writeSafetensors([{ name: "m", dtype: "bool", shape: [2], data: Uint8Array.of(1, 2) }]);
    expect(() => readSafetensors(bytes)).toThrow('tensor "m": a truth value is neither 0 nor 1');
  });
});

test("what cannot be written is an error", () => {
  const [mask] = tensors;
  expect(() => writeSafetensors([mask, mask])).toThrow('the name "mask" is taken');
  expect(() => writeSafetensors([{ ...mask, name: "__metadata__" }])).toThrow("is taken");
  expect(() => writeSafetensors([{ ...mask, shape: [2] }])).toThrow('"mask" is bool[2], but has 3 elements in 3 bytes');
  expect(() => writeSafetensors([{ ...mask, dtype: "f32" }])).toThrow("3 elements in 3 bytes");
});
