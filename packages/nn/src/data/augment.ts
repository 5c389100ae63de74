/**
 * Images made a little different, for `map`: `map(({ image, label }, { random }) => ({ image: shift(image, 2, random), label }))`.
 * Images are f32 [height, width] or [height, width, channels]; what comes in from outside is `fill`.
 */
import { ShapeError } from "@sinter/tracer";
import type { Random } from "./random.ts";
import type { Sample } from "./samples.ts";

/** Normal noise of this deviation on each element. */
export function noise({ data, shape }: Sample, deviation: number, random: Random): Sample {
  return { data: Float32Array.from(data, (x) => x + deviation * random.normal()), shape };
}

/** Moved by up to `most` pixels each way, every whole number of pixels as likely. */
export function shift(image: Sample, most: number, random: Random, fill = 0): Sample {
  const [down, right] = [random.integer(-most, most), random.integer(-most, most)];
  const [height, width] = sizes("shift", image);
  return window(image, -down, -right, height, width, fill);
}

/** Mirrored left to right, half of the time. */
export function flip(image: Sample, random: Random): Sample {
  if (random.uniform() < 0.5) return image;
  const [height, width, channels] = sizes("flip", image);
  const data = new Float32Array(image.data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = (y * width + width - 1 - x) * channels;
      data.set(image.data.subarray(from, from + channels), (y * width + x) * channels);
    }
  return { data, shape: image.shape };
}

/** A part of this size from anywhere in the image, which gets `padding` pixels of `fill` around it before. */
export function crop(image: Sample, height: number, width: number, random: Random, padding = 0, fill = 0): Sample {
  const [rows, columns] = sizes("crop", image);
  const [down, right] = [rows + 2 * padding - height, columns + 2 * padding - width];
  if (down < 0 || right < 0)
    throw new ShapeError(
      `augment.crop: a part of [${height}, ${width}] does not fit into an image of [${rows}, ${columns}] with a padding of ${padding}`,
    );
  return window(image, random.integer(0, down) - padding, random.integer(0, right) - padding, height, width, fill);
}

function sizes(caller: string, { shape }: Sample): [height: number, width: number, channels: number] {
  if (shape.length !== 2 && shape.length !== 3)
    throw new ShapeError(
      `augment.${caller}: an image must be [height, width] or [height, width, channels], not [${shape.join()}]`,
    );
  return [shape[0]!, shape[1]!, shape[2] ?? 1];
}

/** The part of an image that begins at (top, left), which may be outside. */
function window(image: Sample, top: number, left: number, height: number, width: number, fill: number): Sample {
  const [rows, columns, channels] = sizes("window", image);
  const data = new Float32Array(height * width * channels).fill(fill);
  const first = Math.max(0, -left);
  const last = Math.min(width, columns - left);
  for (let y = Math.max(0, -top); y < Math.min(height, rows - top); y++) {
    if (first >= last) break;
    const from = ((y + top) * columns + left + first) * channels;
    data.set(image.data.subarray(from, from + (last - first) * channels), (y * width + first) * channels);
  }
  return { data, shape: [height, width, ...image.shape.slice(2)] };
}
