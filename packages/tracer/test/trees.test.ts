// Arguments and results that are no tensors: views of other element types, symbols, values that contain themselves.
import { expect, test } from "vitest";
import * as s from "../src/index.ts";
import { onBackends } from "./support.ts";

type Anything = (...args: readonly unknown[]) => s.Tensor;
const compiled = (fn: (x: s.Tensor, ...rest: readonly unknown[]) => unknown): Anything =>
  s.compile(fn, { autograph: false }) as unknown as Anything;

onBackends("trees", () => {
  test.each([Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float64Array])(
    "%o is a tensor, not a constant",
    (View) => {
      const data = View.from([1, 2, 3]);
      const f = compiled((x) => x.mul(2));
      const traces = (): number => (f as unknown as { readonly traces: number }).traces;
      expect(f(data).arraySync()).toEqual([2, 4, 6]);
      data[1] = 7;
      expect(f(data).arraySync()).toEqual([2, 14, 6]);
      expect(f(View.from([4, 5, 6])).arraySync()).toEqual([8, 10, 12]);
      expect(traces()).toBe(1);
      expect(s.tensor(data).dtype).toBe(f(data).dtype);
      const inside = compiled((_, list) => (list as { readonly x: s.Tensor }).x.add(1));
      expect(inside(0, { x: data }).arraySync()).toEqual([2, 8, 4]);
    },
  );

  test("other views are errors that name the argument", () => {
    const f = compiled(function scale(x) {
      return x;
    });
    expect(() => f(new BigInt64Array(3))).toThrow(/scale: x must be numbers of at most 32 bits.*BigInt64Array/);
    expect(() => f({ part: [new DataView(new ArrayBuffer(8))] })).toThrow(/scale: x\.part\[0\] must be.*DataView/);
    using out = s.scope(() => ({ other: new BigInt64Array(1), x: s.tensor(3) })).x;
    expect(out.item()).toBe(3);
  });

  test("symbols of one description are different values", () => {
    const [one, two] = [Symbol("mode"), Symbol("mode")];
    const f = compiled((x, mode) => (mode === one ? x.add(1) : mode === two ? x.add(2) : x.add(3)));
    const x = s.tensor(0);
    for (let i = 0; i < 2; i++)
      expect([one, two, Symbol.for("mode")].map((mode) => f(x, mode).item())).toEqual([1, 2, 3]);
    expect(f(x, Symbol.for("mode")).item()).toBe(3);
  });

  test("what contains itself is an error that says where", () => {
    const f = compiled(function loop(x) {
      return x;
    });
    const own: Record<string, unknown> = { x: s.tensor(1) };
    own["o"] = own;
    expect(() => f(own)).toThrow(/loop: x\.o contains itself/);
    const list: unknown[] = [1];
    list.push([list]);
    expect(() => f(list)).toThrow(/loop: x\[1\]\[0\] contains itself/);
    expect(() => compiled(() => list)(s.tensor(1))).toThrow(/the result\[1\]\[0\] contains itself/);
    expect(() => s.grad(((x: s.Tensor) => x) as never)(own as never)).toThrow(/args\[0\]\.o contains itself/);
    const shared = [s.tensor(1), s.tensor(2)];
    expect((compiled((x) => x)({ a: shared, b: shared }) as unknown as { b: s.Tensor[] }).b[1]!.item()).toBe(2);
    expect(s.scope(() => own)).toBe(own);
  });
});
