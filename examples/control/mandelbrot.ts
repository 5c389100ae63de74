/**
 * The Mandelbrot set: one `while` over the whole picture. Elements that have escaped stay as they are, and the loop ends
 * with the last; the compiler gives each element a loop of its own.
 */
import { compile, ones, type Tensor, tensor, where, zeros, zerosLike } from "sinter";
import { contest, example } from "./example.ts";
import { mandelbrotF32, mandelbrot as plain } from "./plain.ts";

/** Rounds until z <- z^2 + c leaves the disc of radius 2, at most `limit`, for each c. */
export const mandelbrot = compile(
  (re: Tensor, im: Tensor, limit: number) => {
    let zr = zerosLike(re);
    let zi = zerosLike(re);
    let count = zeros(re.shape, "i32");
    let alive = ones(re.shape, "bool");
    let k = 0;
    while (k < limit && alive.any()) {
      const rr = zr.mul(zr);
      const ii = zi.mul(zi);
      alive = alive.and(rr.add(ii).le(4));
      zi = where(alive, zr.mul(2).mul(zi).add(im), zi);
      zr = where(alive, rr.sub(ii).add(re), zr);
      count = where(alive, count.add(1), count);
      k++;
    }
    return count;
  },
  { name: "mandelbrot" },
);

/** The points of a square that holds the whole set. */
export function grid(size: number): { re: Float32Array; im: Float32Array } {
  const re = new Float32Array(size * size);
  const im = new Float32Array(size * size);
  for (let i = 0; i < re.length; i++) {
    re[i] = -2.25 + (3 * (i % size)) / size;
    im[i] = -1.5 + (3 * Math.floor(i / size)) / size;
  }
  return { re, im };
}

function draw(size: number, counts: ArrayLike<number>): string {
  const [columns, rows] = [72, 30];
  const shades = " .:-=+*#%@";
  const shade = (count: number): string => shades[Math.floor(Math.log2(1 + count) * 1.4)] ?? "@";
  const pixel = (row: number, column: number): number =>
    counts[Math.floor((row * size) / rows) * size + Math.floor((column * size) / columns)]!;
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => shade(pixel(row, column))).join(""),
  ).join("\n");
}

export const mandelbrotExample = example({
  title: "Mandelbrot, 512x512, at most 100 rounds",
  make(small) {
    const size = small ? 40 : 512;
    const { re, im } = grid(size);
    const [res, ims] = [tensor(re), tensor(im)];
    return contest({
      compiled: () => mandelbrot(res, ims, 100),
      values: (counts) => counts.dataSync(),
      plain: () => plain(re, im, 100),
      // In double precision a few elements at the border escape earlier or later.
      plainValues: () => mandelbrotF32(re, im, 100),
      tolerance: 0,
      picture: (counts) => draw(size, counts),
    });
  },
});

if (process.argv[1] === import.meta.filename) mandelbrotExample.show();
