// The seeded generator of all bench inputs. It is ours rather than a library's so that every process, and the float64
// reference, sees the same bits.

/** Mulberry32: 32 bits of state, one multiply-xor round per number; ample for test data. */
export class Generator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next 32 random bits. */
  bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A number in [low, high), on a grid of 2^-24 of the interval, so that it is exact in float32 for powers of two. */
  uniform(low: number, high: number): number {
    return low + (high - low) * ((this.bits() >>> 8) * 2 ** -24);
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.uniform(0, limit));
  }

  /** An array of `uniform` values. */
  floats(size: number, low: number, high: number): Float32Array {
    const values = new Float32Array(size);
    for (let i = 0; i < size; i++) values[i] = this.uniform(low, high);
    return values;
  }

  /** Permutes `values` in place (Fisher-Yates). */
  shuffle(values: Uint32Array): void {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const other = values[j]!;
      values[j] = values[i]!;
      values[i] = other;
    }
  }
}
