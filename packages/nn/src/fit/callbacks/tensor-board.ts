/** Event files for TensorBoard: records of protocol buffers with masked checksums (TFRecord). */
import type { Callback } from "../history.ts";
import { type Files, fileSystem } from "../host.ts";

/**
 * Writes the values of each epoch to an event file in `folder`, which TensorBoard shows; those of the validation are in the
 * folder's `validation`, so that both are in one chart.
 */
export function tensorBoard(folder: string): Callback {
  let files: Files | undefined;
  let [train, validation] = ["", ""];
  const open = (inside: string): string => {
    files!.mkdirSync(inside, { recursive: true });
    const seconds = Date.now() / 1e3;
    const path = `${inside}/events.out.tfevents.${Math.floor(seconds)}.sinter.${Math.random().toString(36).slice(2, 8)}`;
    files!.writeFileSync(path, record(event(seconds, 0, { version: "brain.Event:2" })));
    return path;
  };
  return {
    async onTrainBegin() {
      files = await fileSystem("tensorBoard");
      [train, validation] = ["", ""];
    },
    onEpochEnd({ epoch, steps: _, ...values }) {
      const isOfValidation = (name: string): boolean => /^val[A-Z0-9]/.test(name);
      const parts = Object.entries(values).map(([name, value]) => {
        const own = isOfValidation(name);
        return { own, tag: own ? `epoch/${name[3]!.toLowerCase()}${name.slice(4)}` : `epoch/${name}`, value };
      });
      const write = (path: string, of: readonly { readonly tag: string; readonly value: number }[]): void =>
        files!.appendFileSync(path, record(event(Date.now() / 1e3, epoch, { values: of })));
      write(
        (train ||= open(`${folder}/train`)),
        parts.filter(({ own }) => !own),
      );
      const others = parts.filter(({ own }) => own);
      if (others.length > 0) write((validation ||= open(`${folder}/validation`)), others);
    },
  };
}

interface Content {
  readonly version?: string;
  readonly values?: readonly { readonly tag: string; readonly value: number }[];
}

/** tensorflow.Event: wall_time = 1 (double), step = 2 (int64), file_version = 3, summary = 5 { value = 1 { tag = 1, simple_value = 2 } }. */
function event(seconds: number, step: number, { version, values }: Content): Uint8Array {
  const parts = [double(1, seconds), [...varint(2 << 3), ...varint(step)]];
  if (version !== undefined) parts.push(bytes(3, new TextEncoder().encode(version)));
  if (values !== undefined) {
    const summary = values.flatMap(({ tag, value }) =>
      bytes(1, [...bytes(1, new TextEncoder().encode(tag)), ...float(2, value)]),
    );
    parts.push(bytes(5, summary));
  }
  return Uint8Array.from(parts.flat());
}

function varint(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return [...out, rest];
}

function bytes(field: number, content: ArrayLike<number>): number[] {
  return [...varint((field << 3) | 2), ...varint(content.length), ...Array.from(content)];
}

function double(field: number, value: number): number[] {
  return [...varint((field << 3) | 1), ...new Uint8Array(Float64Array.of(value).buffer)];
}

function float(field: number, value: number): number[] {
  return [...varint((field << 3) | 5), ...new Uint8Array(Float32Array.of(value).buffer)];
}

/** Length (u64), its checksum, content, its checksum, all little-endian. */
function record(content: Uint8Array): Uint8Array {
  const out = new Uint8Array(content.length + 16);
  const view = new DataView(out.buffer);
  view.setUint32(0, content.length, true);
  view.setUint32(8, masked(out.subarray(0, 8)), true);
  out.set(content, 12);
  view.setUint32(12 + content.length, masked(content), true);
  return out;
}

/** The checksum as TFRecord keeps it: rotated, plus a constant, so that checksums of checksums stay apart. */
function masked(content: Uint8Array): number {
  const crc = crc32c(content);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Castagnoli's polynomial, reflected. */
function crc32c(content: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of content) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
