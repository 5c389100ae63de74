// What the analysis must see, one case per trap: liveness through lowered jumps, what becomes a tensor, state lists.
import { describe, expect, test } from "vitest";
import { transformed } from "./support/transform.ts";

/** The names of each state list with how many are live, in the order of the text. */
function states(body: string): string[] {
  const found = transformed(body).matchAll(/\$s; \}, (\[[^\]]*(?:\[\d+\][^\]]*)?\]), (\d+)/g);
  return [...found].map(([, names, live]) => `${(JSON.parse(names!) as string[]).join(" ")} / ${live}`);
}

describe("state lists", () => {
  test("what is assigned and dead is restored but not merged", () => {
    const body =
      "export function f(x: Tensor) {\n  let t = x, y = x;\n  if (x.gt(0)) {\n    t = x.add(1);\n    y = t;\n  }\n  t = x;\n  return y.add(t);\n}";
    expect(states(body)).toEqual(["y t / 1"]);
  });

  test("what is live where a lowered jump lands is live behind all it leaves", () => {
    const body =
      "export function f(x: Tensor) {\n  let y = x;\n  while (x.lt(9)) {\n    y = x.add(1);\n    if (x.gt(5)) {\n      y = x.sub(1);\n      break;\n    }\n    x = x.add(1);\n    y = x;\n  }\n  return y;\n}";
    expect(states(body)).toEqual(["y x $b1 / 3", "y x $b1 / 3"]);
  });

  test("a do-while carries what its test reads", () => {
    const body =
      "export function f(x: Tensor) {\n  let y: Tensor;\n  do {\n    y = x.add(1);\n  } while (y.lt(3));\n  return x;\n}";
    expect(states(body)).toEqual(["y / 1"]);
  });

  test("captured variables are always live, and writes of mentioned functions count", () => {
    const body =
      "export function f(x: Tensor) {\n  let n = x;\n  const g = () => { n = n.add(1); };\n  const h = () => g();\n  if (x.gt(0)) h();\n  return x;\n}";
    expect(states(body)).toEqual(["n / 1"]);
  });

  test("a path through something that is assigned is left to it", () => {
    const body =
      "export function f(x: Tensor, o: { p: { t: Tensor } }) {\n  if (x.gt(0)) {\n    o.p = { t: x };\n    o.p.t = x;\n  }\n  return o.p.t;\n}";
    expect(states(body)).toEqual(["o.p / 1"]);
  });

  test("what a block declares is its own", () => {
    const body =
      "export function f(x: Tensor) {\n  if (x.gt(0)) {\n    let y = x;\n    y = y.add(1);\n    const o = { t: y };\n    o.t = x;\n    x = o.t;\n  }\n  return x;\n}";
    expect(states(body)).toEqual(["x / 1"]);
  });
});

describe("numbers that become tensors", () => {
  const has = (body: string): string[] =>
    [...transformed(body).matchAll(/\$ag\.(add|sub|mul|inc|dec|lt|gt|eq|not|neg)\(/g)].map((m) => m[1]!);

  test("assigned behind a staged jump, up to the jump's target", () => {
    expect(
      has(
        "export function f(x: Tensor, xs: number[]): Tensor | number {\n  let n = 0, m = 0;\n  for (const k of xs) {\n    m += k;\n    if (x.gt(k)) continue;\n    n += k;\n  }\n  return n + m;\n}",
      ),
    ).toEqual(["add", "add"]);
  });

  test("assigned anywhere in a loop that a staged jump leaves", () => {
    expect(
      has(
        "export function f(x: Tensor, xs: number[]): Tensor | number {\n  let m = 0;\n  for (const k of xs) {\n    m += k;\n    if (x.gt(k)) break;\n  }\n  return m;\n}",
      ),
    ).toEqual(["add"]);
  });

  test("initialised from one", () => {
    expect(
      has(
        "export function f(x: Tensor) {\n  let n = 0;\n  while (x.gt(n)) n++;\n  const [a, b] = [n, 1];\n  const c = a * 2 > b;\n  if (c) return x;\n  return x.add(1);\n}",
      ),
    ).toEqual(["inc", "mul", "gt"].sort((a, b) => ["inc", "gt", "mul"].indexOf(a) - ["inc", "gt", "mul"].indexOf(b)));
  });

  test("a field is one under every name", () => {
    expect(
      has(
        "class A {\n  n = 0;\n  go(x: Tensor) { if (x.gt(0)) this.n += 1; }\n}\nexport function f(x: Tensor) {\n  const a = new A();\n  a.go(x);\n  return a.n * 2;\n}",
      ),
    ).toEqual(["add", "mul"]);
  });

  test("returned by a local function, or given to one", () => {
    const sign = "function sign(x: Tensor): number {\n  if (x.gt(0).any()) return 1;\n  return -1;\n}\n";
    const scale = "function scale(x: Tensor, k: number) {\n  return k === 1 ? x : x.mul(k);\n}\n";
    expect(has(`${sign}${scale}export const f = (x: Tensor) => (sign(x) > 0 ? x : scale(x, sign(x)));`)).toEqual([
      "eq",
      "gt",
    ]);
  });

  test("in a literal", () => {
    const body =
      "export const f = (x: Tensor) => { const n = x.gt(0) ? 1 : 2; const o = { n, a: [n] }; return o.n === 1 || o.a[0] === 2 ? x : 0; };";
    expect(has(body)).toEqual(["eq", "eq"]);
  });

  test("compared where the type has numbers and tensors", () => {
    const body =
      "export const f = (x: Tensor, n: number | Tensor, m?: Tensor) => (n === 1 || 2 !== n || m !== undefined ? x : n);";
    expect(transformed(body).match(/\$ag\.(same|notSame|eq|ne)\(.*?\)/g)).toEqual([
      "$ag.same(n , 1)",
      "$ag.notSame(2 , n)",
    ]);
    expect(transformed("export const f = (x: Tensor, y: Tensor) => (x === y ? x : y);")).not.toContain("$ag");
  });

  test("plain ones stay plain", () => {
    expect(
      has(
        "export function f(x: Tensor, k: number) {\n  let n = 0;\n  for (let i = 0; i < k; i++) n += i;\n  if (x.gt(0)) x = x.add(n * 2);\n  return x;\n}",
      ),
    ).toEqual([]);
  });
});

describe("loops that may be rolled", () => {
  const rolled = (loop: string): boolean | undefined => {
    const text = transformed(
      `export function f(x: Tensor, xs: Tensor[], k: number, step: (x: Tensor) => Tensor) {\n  let n = 0;\n  ${loop}\n  return x;\n}`,
    );
    return text.includes("$ag.for_") ? text.includes(", true);") : undefined;
  };

  test("where rounds only compute", () => {
    expect(rolled("for (let i = 0; i < 100; i++) x = x.add(i);")).toBe(true);
    expect(rolled("for (let i = k; i >= 0; i -= 2) { const y = x.mul(2); x = y.add(Math.sqrt(2) * 3); }")).toBe(true);
    expect(rolled("const g = grad((w) => w.mul(w).sum()); for (let i = 0; i < k; i++) x = x.sub(g(x).mul(0.1));")).toBe(
      true,
    );
    expect(rolled("for (let i = 0; i < x.shape[0]!; i++) x = where(x.gt(i), x, 0);")).toBe(true);
  });

  test("not where they do more, or leave a number behind, or count otherwise", () => {
    expect(rolled("for (let i = 0; i < 9; i++) x = x.add(xs[i]!);")).toBeUndefined();
    expect(rolled("for (let i = 0; i < 9; i++) x = step(x);")).toBeUndefined();
    expect(rolled("for (let i = 0; i < 9; i++) { x = x.add(1); console.log(i); }")).toBeUndefined();
    expect(rolled("for (let i = 0; i < 9; i++) { x = x.add(1); n += i; } x = x.add(n);")).toBeUndefined();
    expect(rolled("for (let i = 0; i < 9; i++) { x = x.add(1); i++; }")).toBeUndefined();
    expect(rolled("for (let i = 0; i < 9; i++) n += i;")).toBeUndefined();
  });

  test("with an exit it is staged, not rolled", () => {
    expect(rolled("for (let i = 0; i < 100; i++) { if (x.gt(i)) break; x = x.add(1); }")).toBe(false);
  });
});
