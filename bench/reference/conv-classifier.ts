// A convolutional classifier as plain loops over typed arrays, forward and backward: convolution 3x3 with 16 filters, bias,
// relu, 2x2 maximum, the same with 32 filters, a dense layer and cross entropy. The innermost loops run over filters or
// channels, which lie side by side; in Float64Array it is the reference, in Float32Array the opponent.

export const convSizes = { side: 28, window: 3, filters: [16, 32], classes: 10 } as const;

export type Floats = Float32Array | Float64Array;

/** Lengths of the parameters, in order: [window, window, in, out], then [out], layer by layer; last the dense layer. */
export function parameterSizes(): number[] {
  const { side, window, filters, classes } = convSizes;
  const [first, second] = filters;
  const flat = (side / 4) ** 2 * second;
  return [window ** 2 * first, first, window ** 2 * first * second, second, flat * classes, classes];
}

interface Layer {
  readonly side: number;
  readonly channels: number;
  readonly filters: number;
}

export class ConvClassifier<F extends Floats> {
  readonly gradients: readonly F[];
  private readonly make: (size: number) => F;
  private readonly batch: number;
  private readonly layers: readonly [Layer, Layer];
  private readonly sums: readonly F[];
  private readonly pooled: readonly F[];
  private readonly from: readonly Int32Array[];
  private readonly dSums: readonly F[];
  private readonly dPooled: readonly F[];

  constructor(batch: number, make: (size: number) => F) {
    const { side, filters } = convSizes;
    this.batch = batch;
    this.make = make;
    this.layers = [
      { side, channels: 1, filters: filters[0] },
      { side: side / 2, channels: filters[0], filters: filters[1] },
    ];
    const sizes = this.layers.map((l) => batch * l.side ** 2 * l.filters);
    this.gradients = parameterSizes().map(make);
    this.sums = sizes.map(make);
    this.dSums = sizes.map(make);
    this.pooled = sizes.map((n) => make(n / 4));
    this.dPooled = sizes.map((n) => make(n / 4));
    this.from = sizes.map((n) => new Int32Array(n / 4));
  }

  /** The mean loss; leaves the gradients of all parameters. */
  step(images: F, labels: Int32Array, parameters: readonly F[]): number {
    for (const gradient of this.gradients) gradient.fill(0);
    const [w1, b1, w2, b2, w3, b3] = parameters as readonly [F, F, F, F, F, F];
    this.forward(0, images, w1, b1);
    this.forward(1, this.pooled[0]!, w2, b2);
    const loss = this.dense(labels, w3, b3);
    this.backward(1, this.pooled[0]!, w2, this.dPooled[0]!);
    this.backward(0, images, w1, undefined);
    return loss;
  }

  private forward(layer: 0 | 1, x: F, w: F, b: F): void {
    const { side, channels, filters } = this.layers[layer];
    const y = this.sums[layer]!;
    for (let n = 0; n < this.batch; n++)
      for (let row = 0; row < side; row++)
        for (let column = 0; column < side; column++) {
          const to = ((n * side + row) * side + column) * filters;
          for (let o = 0; o < filters; o++) y[to + o] = b[o]!;
          for (let i = 0; i < 3; i++) {
            const r = row + i - 1;
            if (r < 0 || r >= side) continue;
            for (let j = 0; j < 3; j++) {
              const c = column + j - 1;
              if (c < 0 || c >= side) continue;
              const at = ((n * side + r) * side + c) * channels;
              for (let k = 0; k < channels; k++) {
                const value = x[at + k]!;
                const of = ((i * 3 + j) * channels + k) * filters;
                for (let o = 0; o < filters; o++) y[to + o] = y[to + o]! + value * w[of + o]!;
              }
            }
          }
        }
    const [pooled, from] = [this.pooled[layer]!, this.from[layer]!];
    const half = side / 2;
    for (let n = 0; n < this.batch; n++)
      for (let row = 0; row < half; row++)
        for (let column = 0; column < half; column++)
          for (let o = 0; o < filters; o++) {
            const first = ((n * side + 2 * row) * side + 2 * column) * filters + o;
            let best = first;
            for (const next of [first + filters, first + side * filters, first + (side + 1) * filters])
              if (y[next]! > y[best]!) best = next;
            const to = ((n * half + row) * half + column) * filters + o;
            pooled[to] = Math.max(y[best]!, 0);
            from[to] = best;
          }
  }

  private dense(labels: Int32Array, w: F, b: F): number {
    const { classes } = convSizes;
    const [x, dx, dw, db] = [this.pooled[1]!, this.dPooled[1]!, this.gradients[4]!, this.gradients[5]!];
    const width = x.length / this.batch;
    const [z, d] = [this.make(classes), this.make(classes)];
    let loss = 0;
    for (let n = 0; n < this.batch; n++) {
      z.set(b);
      for (let i = 0; i < width; i++)
        for (let o = 0; o < classes; o++) z[o] = z[o]! + x[n * width + i]! * w[i * classes + o]!;
      const most = Math.max(...z);
      let total = 0;
      for (let o = 0; o < classes; o++) total += Math.exp(z[o]! - most);
      loss += most + Math.log(total) - z[labels[n]!]!;
      for (let o = 0; o < classes; o++) {
        d[o] = (Math.exp(z[o]! - most) / total - (o === labels[n] ? 1 : 0)) / this.batch;
        db[o] = db[o]! + d[o]!;
      }
      for (let i = 0; i < width; i++) {
        const value = x[n * width + i]!;
        let sum = 0;
        for (let o = 0; o < classes; o++) {
          sum += d[o]! * w[i * classes + o]!;
          dw[i * classes + o] = dw[i * classes + o]! + value * d[o]!;
        }
        dx[n * width + i] = sum;
      }
    }
    return loss / this.batch;
  }

  private backward(layer: 0 | 1, x: F, w: F, dx: F | undefined): void {
    const { side, channels, filters } = this.layers[layer];
    const [dy, dw, db] = [this.dSums[layer]!, this.gradients[2 * layer]!, this.gradients[2 * layer + 1]!];
    const [pooled, from, dPooled] = [this.pooled[layer]!, this.from[layer]!, this.dPooled[layer]!];
    dy.fill(0);
    for (let i = 0; i < pooled.length; i++) if (pooled[i]! > 0) dy[from[i]!] = dPooled[i]!;
    dx?.fill(0);
    for (let n = 0; n < this.batch; n++)
      for (let row = 0; row < side; row++)
        for (let column = 0; column < side; column++) {
          const to = ((n * side + row) * side + column) * filters;
          for (let o = 0; o < filters; o++) db[o] = db[o]! + dy[to + o]!;
          for (let i = 0; i < 3; i++) {
            const r = row + i - 1;
            if (r < 0 || r >= side) continue;
            for (let j = 0; j < 3; j++) {
              const c = column + j - 1;
              if (c < 0 || c >= side) continue;
              const at = ((n * side + r) * side + c) * channels;
              for (let k = 0; k < channels; k++) {
                const value = x[at + k]!;
                const of = ((i * 3 + j) * channels + k) * filters;
                let sum = 0;
                for (let o = 0; o < filters; o++) {
                  const slope = dy[to + o]!;
                  sum += slope * w[of + o]!;
                  dw[of + o] = dw[of + o]! + value * slope;
                }
                if (dx !== undefined) dx[at + k] = dx[at + k]! + sum;
              }
            }
          }
        }
  }
}
