/** The digits as the page fetches them: what digits-file.ts wrote. */
import { type Digits, heldOut, pixels } from "../digits/sets.ts";

export interface PageDigits {
  readonly train: Digits;
  readonly test: Digits;
}

export async function fetchDigits(): Promise<PageDigits> {
  const response = await fetch("./digits.bin");
  if (!response.ok || response.body === null) throw new Error(`The digits could not be fetched: ${response.status}.`);
  const plain = response.body.pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(plain).arrayBuffer());
  const count = bytes.length / (pixels + 1);
  const trained = count - heldOut;
  const part = (from: number, to: number): Digits => ({
    count: to - from,
    images: Float32Array.from(bytes.subarray(from * pixels, to * pixels), (value) => value / 255),
    labels: Int32Array.from(bytes.subarray(count * pixels + from, count * pixels + to)),
  });
  return { train: part(0, trained), test: part(trained, count) };
}
