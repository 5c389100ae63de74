/**
 * Threefry-2x32 with 20 rounds (Salmon et al., Random123), the block cipher behind random bits: written once over an
 * algebra of u32 operations, for numbers and for kernel expressions.
 */

/** u32 operations that wrap. */
export interface Words<E> {
  constant(value: number): E;
  add(x: E, y: E): E;
  xor(x: E, y: E): E;
  rotateLeft(x: E, bits: number): E;
}

const rotations: readonly (readonly number[])[] = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
];
const parity = 0x1bd11bda;

/** Encrypts the two words of a counter under a key of two words. */
export function threefry2x32<E>(w: Words<E>, key: readonly [E, E], counter: readonly [E, E]): [E, E] {
  const schedule = [key[0], key[1], w.xor(w.xor(key[0], key[1]), w.constant(parity))];
  let x = w.add(counter[0], key[0]);
  let y = w.add(counter[1], key[1]);
  for (let block = 1; block <= 5; block++) {
    for (const bits of rotations[(block - 1) % 2]!) {
      x = w.add(x, y);
      y = w.xor(w.rotateLeft(y, bits), x);
    }
    x = w.add(x, schedule[block % 3]!);
    y = w.add(w.add(y, schedule[(block + 1) % 3]!), w.constant(block));
  }
  return [x, y];
}

/** Words as JavaScript numbers. */
export const numberWords: Words<number> = {
  constant: (value) => value,
  add: (x, y) => (x + y) >>> 0,
  xor: (x, y) => (x ^ y) >>> 0,
  rotateLeft: (x, bits) => ((x << bits) | (x >>> (32 - bits))) >>> 0,
};
