/** Random numbers on the host, for the order of rows and for augmentation: xoshiro128** (Blackman and Vigna 2018). */

export class Random {
  private readonly state: Uint32Array;

  /** The same parts give the same numbers. */
  constructor(...parts: readonly number[]) {
    // splitmix32 spreads the parts over the state.
    let mixed = 0x9e3779b9;
    const next = (): number => {
      mixed = (mixed + 0x9e3779b9) | 0;
      let z = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    for (const part of parts) {
      mixed ^= part >>> 0;
      mixed = next() ^ Math.floor(part / 2 ** 32);
      next();
    }
    this.state = Uint32Array.from({ length: 4 }, next);
  }

  /** 32 random bits, as a number from 0 to 2^32 - 1. */
  bits(): number {
    const s = this.state;
    const product = Math.imul(s[1]!, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }

  /** From 0 to below 1. */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  /** A whole number from 0 to below `count`, each as likely (Lemire 2019). */
  below(count: number): number {
    const lowest = 2 ** 32 % count;
    for (;;) {
      const product = BigInt(this.bits()) * BigInt(count);
      if (Number(product & 0xffffffffn) >= lowest) return Number(product >> 32n);
    }
  }

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** Normal, with mean 0 and deviation 1 (Box and Muller 1958). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
}
