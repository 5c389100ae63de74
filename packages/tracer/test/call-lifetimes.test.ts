// Calls give back what they make on the way, also where they fail: arguments, conformed arguments, gradients.
import { configureHeap, theMachine } from "@sinter/runtime";
import { expect, test } from "vitest";
import * as s from "../src/index.ts";

configureHeap({ maximumBytes: 64 * 1024 * 1024 });
const mebibyte = 2 ** 18;
const live = (): number => theMachine().heap.liveBytes;
type Typed = s.Tensor & Float32Array;

/** Runs twice and expects the second time to keep nothing. */
function keepsNothing(body: () => void): void {
  body();
  const before = live();
  body();
  body();
  expect(live()).toBe(before);
}

test("typed arrays as arguments, of which a result does not fit", () => {
  const f = s.compile((x: s.Tensor) => x.add(1));
  const pair = s.compile((x: s.Tensor, y: s.Tensor) => x.sum().add(y.sum()));
  const big = new Float32Array(40 * mebibyte) as unknown as Typed;
  const small = new Float32Array(30 * mebibyte) as unknown as Typed;
  keepsNothing(() => {
    expect(() => f(big)).toThrow(s.OutOfMemoryError);
    expect(() => pair(small, big)).toThrow(s.OutOfMemoryError);
    expect(() => pair(small, undefined as unknown as s.Tensor)).toThrow();
  });
  f(small).dispose();
});

test("arguments brought to a signature", () => {
  const f = s.compile((x: s.Tensor, k: s.Tensor) => x.mul(k).sum(), { signature: [s.spec([1000]), s.spec([])] });
  const x = new Float32Array(1000).fill(1) as unknown as Typed;
  const k = 3 as unknown as s.Tensor;
  const wrong = new Float32Array(2000) as unknown as Typed;
  keepsNothing(() => {
    for (let i = 0; i < 10; i++) f(x, k).dispose();
    expect(() => f(wrong, k)).toThrow(/the signature says f32\[1000\]/);
    expect(s.scope(() => s.withEager(() => f(x, k)).item())).toBe(3000);
    expect(() => s.withEager(() => f(wrong, k))).toThrow(/the signature says f32\[1000\]/);
  });
  const outer = s.compile((y: s.Tensor) => f(y.add(1), k));
  expect(outer(s.zeros([1000])).item()).toBe(3000);
  expect(() => outer(s.zeros([5]))).toThrow(/the signature says f32\[1000\]/);
  const same = s.compile((y: s.Tensor) => [y], { signature: [s.spec([2])] });
  expect(s.withEager(() => same([1, 2] as unknown as s.Tensor))[0]!.arraySync()).toEqual([1, 2]);
});

test("gradients of small and large graphs, with aux, and where they fail", () => {
  const w = s.variable(s.ones([1000]));
  const x = s.ones([1000]);
  x.dataSync();
  const deep =
    (rounds: number) =>
    (y: s.Tensor): s.Tensor => {
      let out = y;
      for (let i = 0; i < rounds; i++) out = out.sin().mul(w);
      return out.sum();
    };
  for (const rounds of [2, 60]) {
    const f = deep(rounds);
    const withAux = (y: s.Tensor): [s.Tensor, s.Tensor] => [f(y), y.add(1)];
    keepsNothing(() => {
      s.scope(() => void s.grad(f)(x).dataSync());
      s.grad(f)(x).dispose();
      const [value, gradient] = s.valueAndGrad(f)(x);
      value.dispose();
      gradient.dispose();
      const [gradientOfAux, aux] = s.grad(withAux, { hasAux: true })(x) as unknown as [s.Tensor, s.Tensor];
      gradientOfAux.dispose();
      aux.dispose();
      (s.grad(f) as (y: unknown) => s.Tensor)(w).dispose();
      s.grad((k: s.Tensor) => f(x.mul(k)))(2 as unknown as s.Tensor).dispose();
      const loss = s.gradients(() => f(x), [w]);
      loss.value.dispose();
      for (const part of loss.grads) part.dispose();
      expect(() => s.grad((y: s.Tensor) => y.add(f(y)).mul(w))(x)).toThrow(/float scalar/);
    });
  }
  const tooMuch = s.grad((y: s.Tensor) => {
    let out = y.broadcastTo([3 * mebibyte]);
    for (let i = 0; i < 60; i++) out = out.cumsum(0).sin();
    return out.sum();
  });
  keepsNothing(() => expect(() => s.scope(() => tooMuch(s.tensor([1])).item())).toThrow(s.OutOfMemoryError));
});
