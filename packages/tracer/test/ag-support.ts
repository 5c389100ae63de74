// Helpers for the tests of what transformed sources call: code as the transform emits it, run on plain numbers, on eager
// tensors and compiled, against the same program in plain JavaScript.
import { expect, test } from "vitest";
import * as $ag from "../src/ag/index.ts";
import { compile, currentBackend, scope, Tensor, type TensorLike, tensor } from "../src/index.ts";
import { full } from "./support.ts";
import { missingGpu } from "./support-gpu.ts";

/** Places of a file that does not exist: line k, column 1. */
export const $l = $ag.locs(
  "a.ts",
  Array.from({ length: 100 }, (_, i) => [i, 1] as const),
);

/** Backends that run regions and give values at once. */
export const backends = ["reference", "wasm"] as const;

const missing = await missingGpu("programs of transformed sources on webgpu");
/** On webgpu, the full run tries all programs, the other every so many. */
const every = full ? 1 : 8;
let programs = 0;

type Values = unknown[];
/** The last arguments of a construct: live variables first, then those that are dead after it. */
export function state(
  get: () => Values,
  set: (values: Values) => void,
  names: string,
  live = names === "" ? 0 : names.split(" ").length,
): [() => Values, (values: Values) => void, string[], number] {
  return [get, set, names === "" ? [] : names.split(" "), live];
}
export const stateless = state(
  () => [],
  () => {},
  "",
);

/** A number with the methods of a tensor, whose comparisons are JavaScript's booleans. */
export class Plain {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
  private static of(value: unknown): number {
    return value instanceof Plain ? value.value : Number(value);
  }
  add(other: unknown): Plain {
    return new Plain(this.value + Plain.of(other));
  }
  sub(other: unknown): Plain {
    return new Plain(this.value - Plain.of(other));
  }
  mul(other: unknown): Plain {
    return new Plain(this.value * Plain.of(other));
  }
  neg(): Plain {
    return new Plain(-this.value);
  }
  gt(other: unknown): boolean {
    return this.value > Plain.of(other);
  }
  lt(other: unknown): boolean {
    return this.value < Plain.of(other);
  }
}

/** What programs are written for: a plain number or a tensor. Conditions are booleans, or tensors that stand for them. */
// The programs mix plain values and tensors as transformed sources do, which types cannot follow.
export type Value = Tensor;
export type Program = (x: Value) => unknown;

/** Numbers in place of tensors, plain numbers and booleans; other values as they are. */
export function normal(value: unknown): unknown {
  if (value instanceof Plain) return value.value;
  if (value instanceof Tensor) return value.rank === 0 ? Number(value.item()) : value.arraySync();
  if (typeof value === "boolean") return Number(value);
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, normal(item)]));
  return value;
}

/** As `normal`, of values that are not there yet. */
async function arrived(value: unknown): Promise<unknown> {
  if (value instanceof Tensor) {
    const array = await value.array();
    return value.rank === 0 ? Number(array) : array;
  }
  if (Array.isArray(value)) return Promise.all(value.map(arrived));
  if (typeof value === "object" && value !== null && !(value instanceof Plain)) {
    const entries = Object.entries(value).map(async ([key, item]) => [key, await arrived(item)] as const);
    return Object.fromEntries(await Promise.all(entries));
  }
  return normal(value);
}

type Compile = (fn: Program, options: object, site: unknown) => (x: TensorLike) => unknown;

/** Compiles as transformed sources do. */
export function compiled(fn: Program, options: object = {}): (x: TensorLike) => unknown {
  return (compile as unknown as Compile)(
    fn,
    { autograph: false, ...options },
    $ag.compiled($l[0]!, () => [], []),
  );
}

/** Tests that a program as transformed is the program as written, on numbers, eagerly and compiled for each backend. */
export function same(
  name: string,
  native: Program,
  staged: Program,
  inputs: readonly number[] = [3, -2, 0, 0.5],
): void {
  for (const way of ["plain", "eager", ...backends] as const)
    test(`${name} (${way})`, () => {
      const run =
        way === "plain" ? undefined : way === "eager" ? staged : compiled(staged, { backend: way, name: "f" });
      for (const input of inputs) {
        const expected = normal(native(new Plain(input) as unknown as Value));
        const actual =
          run === undefined
            ? normal(staged(new Plain(input) as unknown as Value))
            : scope(() => normal(run(tensor(input))));
        expectNear(actual, expected, `${name}(${input})`);
      }
    });
  if (missing || programs++ % every !== 0) return;
  test(`${name} (webgpu)`, async () => {
    const run = compiled(staged, { backend: "webgpu", name: "f" });
    for (const input of inputs) {
      const expected = normal(native(new Plain(input) as unknown as Value));
      expectNear(await arrived(run(tensor(input))), expected, `${name}(${input})`);
    }
  });
}

function expectNear(actual: unknown, expected: unknown, what: string): void {
  if (typeof expected === "number" && typeof actual === "number") {
    expect(
      Math.abs(actual - expected) <= 1e-4 * Math.max(1, Math.abs(expected)),
      `${what}: ${actual}, not ${expected}`,
    ).toBe(true);
    return;
  }
  if (Array.isArray(expected) && Array.isArray(actual)) {
    expect(actual.length, what).toBe(expected.length);
    for (const [i, item] of expected.entries()) expectNear(actual[i], item, `${what}[${i}]`);
    return;
  }
  expect(actual, what).toEqual(expected);
}

export { $ag, currentBackend };
