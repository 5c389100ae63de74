// Convolution and pooling as plain loops over typed arrays, derivatives included: what the library is held against. It
// shares nothing with the library, neither maps nor padding rules.

export interface ConvCase {
  readonly n: number;
  readonly size: readonly [number, number];
  readonly window: readonly [number, number];
  /** Channels and filters of all groups. */
  readonly channels: number;
  readonly filters: number;
  readonly groups: number;
  readonly strides: readonly [number, number];
  readonly dilation: readonly [number, number];
  /** [[top, bottom], [left, right]] */
  readonly padding: readonly [readonly [number, number], readonly [number, number]];
}

export function resultSize(
  c: Pick<ConvCase, "size" | "window" | "strides" | "dilation" | "padding">,
): [number, number] {
  return [0, 1].map((i) => {
    const room = c.size[i]! + c.padding[i]![0] + c.padding[i]![1] - ((c.window[i]! - 1) * c.dilation[i]! + 1);
    return room < 0 ? 0 : Math.floor(room / c.strides[i]!) + 1;
  }) as [number, number];
}

/** Calls `visit` for each product of the convolution, with the positions of its factors and of the sum it goes into. */
export function eachProduct(c: ConvCase, visit: (x: number, w: number, y: number) => void): void {
  const [oh, ow] = resultSize(c);
  const [h, w] = c.size;
  const [kh, kw] = c.window;
  const [ci, co] = [c.channels / c.groups, c.filters / c.groups];
  for (let n = 0; n < c.n; n++)
    for (let y = 0; y < oh; y++)
      for (let x = 0; x < ow; x++)
        for (let i = 0; i < kh; i++)
          for (let j = 0; j < kw; j++) {
            const [row, column] = [
              y * c.strides[0] + i * c.dilation[0] - c.padding[0][0],
              x * c.strides[1] + j * c.dilation[1] - c.padding[1][0],
            ];
            if (row < 0 || row >= h || column < 0 || column >= w) continue;
            for (let o = 0; o < c.filters; o++) {
              const group = Math.floor(o / co);
              for (let k = 0; k < ci; k++)
                visit(
                  ((n * h + row) * w + column) * c.channels + group * ci + k,
                  ((i * kw + j) * ci + k) * c.filters + o,
                  ((n * oh + y) * ow + x) * c.filters + o,
                );
            }
          }
}

/** The convolution and what the sum of its elements times `ct` has as gradients, in float64. */
export function convLoops(
  c: ConvCase,
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  ct: ArrayLike<number>,
): { y: Float64Array; dx: Float64Array; dw: Float64Array } {
  const [oh, ow] = resultSize(c);
  const y = new Float64Array(c.n * oh * ow * c.filters);
  const [dx, dw] = [new Float64Array(x.length), new Float64Array(w.length)];
  eachProduct(c, (i, j, k) => {
    y[k]! += x[i]! * w[j]!;
    dx[i]! += ct[k]! * w[j]!;
    dw[j]! += ct[k]! * x[i]!;
  });
  return { y, dx, dw };
}

export interface PoolCase {
  readonly n: number;
  readonly size: readonly [number, number];
  readonly channels: number;
  readonly window: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly padding: readonly [readonly [number, number], readonly [number, number]];
}

/** Calls `visit` for each window with the positions of its elements, in the order of rows. */
export function eachWindow(c: PoolCase, visit: (elements: readonly number[], result: number) => void): void {
  const [oh, ow] = resultSize(c);
  const [h, w] = c.size;
  for (let n = 0; n < c.n; n++)
    for (let y = 0; y < oh; y++)
      for (let x = 0; x < ow; x++)
        for (let k = 0; k < c.channels; k++) {
          const elements: number[] = [];
          for (let i = 0; i < c.window[0]; i++)
            for (let j = 0; j < c.window[1]; j++) {
              const row = y * c.strides[0] + i * c.dilation[0] - c.padding[0][0];
              const column = x * c.strides[1] + j * c.dilation[1] - c.padding[1][0];
              if (row >= 0 && row < h && column >= 0 && column < w)
                elements.push(((n * h + row) * w + column) * c.channels + k);
            }
          visit(elements, ((n * oh + y) * ow + x) * c.channels + k);
        }
}

/** The largest or the mean of each window, and the gradient of the sum of those times `ct`: the first of equal elements has it. */
export function poolLoops(
  kind: "max" | "mean",
  c: PoolCase,
  x: ArrayLike<number>,
  ct: ArrayLike<number>,
): { y: Float64Array; dx: Float64Array } {
  const [oh, ow] = resultSize(c);
  const y = new Float64Array(c.n * oh * ow * c.channels);
  const dx = new Float64Array(x.length);
  eachWindow(c, (elements, result) => {
    if (kind === "mean") {
      for (const e of elements) {
        y[result]! += x[e]! / elements.length;
        dx[e]! += ct[result]! / elements.length;
      }
      return;
    }
    let best = elements[0];
    for (const e of elements) if (x[e]! > x[best!]!) best = e;
    y[result] = best === undefined ? -Infinity : x[best]!;
    if (best !== undefined) dx[best]! += ct[result]!;
  });
  return { y, dx };
}
