/** The checksum of zlib and PNG, sixteen bytes at a time: large weights are checked in a fraction of a second. */

const width = 16;
/** `tables[256 * k + byte]`: what a byte followed by k zero bytes makes of the remainder. */
let tables: Int32Array | undefined;

function makeTables(): Int32Array {
  const made = new Int32Array(256 * width);
  for (let byte = 0; byte < 256; byte++) {
    let rest = byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
    made[byte] = rest;
  }
  for (let i = 256; i < made.length; i++) {
    const before = made[i - 256]!;
    made[i] = (before >>> 8) ^ made[before & 255]!;
  }
  return made;
}

/** As eight lower-case hexadecimal digits. */
export function crc32(bytes: Uint8Array): string {
  tables ??= makeTables();
  const t = tables;
  let rest = -1;
  let at = 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const end = bytes.length - width; at <= end; at += width) {
    const a = rest ^ view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    rest =
      t[3840 + (a & 255)]! ^
      t[3584 + ((a >>> 8) & 255)]! ^
      t[3328 + ((a >>> 16) & 255)]! ^
      t[3072 + (a >>> 24)]! ^
      t[2816 + (b & 255)]! ^
      t[2560 + ((b >>> 8) & 255)]! ^
      t[2304 + ((b >>> 16) & 255)]! ^
      t[2048 + (b >>> 24)]! ^
      t[1792 + (c & 255)]! ^
      t[1536 + ((c >>> 8) & 255)]! ^
      t[1280 + ((c >>> 16) & 255)]! ^
      t[1024 + (c >>> 24)]! ^
      t[768 + (d & 255)]! ^
      t[512 + ((d >>> 8) & 255)]! ^
      t[256 + ((d >>> 16) & 255)]! ^
      t[d >>> 24]!;
  }
  for (; at < bytes.length; at++) rest = (rest >>> 8) ^ t[(rest ^ bytes[at]!) & 255]!;
  return (~rest >>> 0).toString(16).padStart(8, "0");
}
