/** Numbers for the tests of layers, and their gradients held against finite differences. */
import { compile, gradients, type Tensor, tensor, type Variable } from "@sinter/tracer";
import { expect } from "vitest";

export const numbers = (x: { dataSync(): ArrayLike<number> }): number[] => Array.from(x.dataSync());

/** Numbers from -1 to 1 without a pattern, always the same ones of a seed. */
export function wave(size: number, seed = 1): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233 + i * i * 0.37));
}

export function waves(shape: readonly number[], seed = 1): Tensor {
  const size = shape.reduce((n, d) => n * d, 1);
  return tensor(wave(size, seed), { shape });
}

/** Fills variables with such numbers, so that none starts at 0. */
export function fill(variables: readonly Variable[]): Float32Array[] {
  return variables.map((variable, i) => {
    const values = wave(
      variable.shape.reduce((n, d) => n * d, 1),
      i + 2,
    );
    variable.assign(tensor(values, { shape: variable.shape }));
    return values;
  });
}

export function expectClose(found: Tensor, wanted: ArrayLike<number>, digits = 5): void {
  expect(numbers(found)).toEqual(Array.from(wanted, (x) => expect.closeTo(x, digits)));
}

/** Holds the gradient of a smooth result, weighted and summed, against central differences, along one direction a variable. */
export function expectSlopes(result: () => Tensor, variables: readonly Variable[]): void {
  const loss = (): Tensor => {
    const out = result();
    return out.mul(waves(out.shape, 40)).sum();
  };
  const { grads } = compile(() => gradients(loss, [...variables]))();
  const value = compile(loss);
  const step = 2 ** -6;
  for (const [i, variable] of variables.entries()) {
    const start = numbers(variable);
    const direction = wave(start.length, 50 + i);
    const at = (sign: number): number => {
      const moved = Float32Array.from(start, (x, k) => x + sign * step * direction[k]!);
      variable.assign(tensor(moved, { shape: variable.shape }));
      return value().item() as number;
    };
    const slope = (at(1) - at(-1)) / (2 * step);
    variable.assign(tensor(Float32Array.from(start), { shape: variable.shape }));
    const exact = numbers(grads[i]!).reduce((sum, g, k) => sum + g * direction[k]!, 0);
    expect(Math.abs(slope - exact), `${variable.name}: ${exact}, differences ${slope}`).toBeLessThan(
      5e-3 * (1 + Math.abs(exact)),
    );
  }
}
