// The checksum of bundles: Node's own and the one in JavaScript are the same.
import { crc32 as ofZlib } from "node:zlib";
import { expect, test, vi } from "vitest";
import { crc32 } from "../src/bundle/loader/crc32.ts";

const digits = (value: number): string => value.toString(16).padStart(8, "0");

test.each([
  ["with Node's", true],
  ["in JavaScript", false],
])("is zlib's, %s", (_, native) => {
  const asked = vi.spyOn(process, "getBuiltinModule");
  if (!native) asked.mockImplementation(() => undefined as never);
  try {
    expect(crc32(new TextEncoder().encode("123456789"))).toBe("cbf43926");
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7919) >> 3);
    for (const [from, to] of [
      [0, 0],
      [0, 1],
      [0, 8],
      [3, 1000],
      [5, 30],
    ] as const) {
      expect(crc32(bytes.subarray(from, to))).toBe(digits(ofZlib(bytes.subarray(from, to))));
    }
    expect(asked).toHaveBeenCalled();
  } finally {
    asked.mockRestore();
  }
});
