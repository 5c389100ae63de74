// Mistakes in staged control flow, as the source transform emits it: each message names the variable, both sides and the
// place, and says what to write. They stand in ag-messages.txt, to be read as a user reads them.
import { expect, test } from "vitest";
import * as sinter from "../src/index.ts";
import { $ag, $l, compiled, state } from "./ag-support.ts";

const l = $l[10]!;

/** Bodies of functions of `x`, f32[], unless the line ends in another argument; y, n, ... are variables they declare. */
const mistakes: Readonly<Record<string, readonly string[]>> = {
  conditions: [
    "if_(l, x, () => {}, null, ...none)",
    "if_(l, x.reshape([1]).gt(0), () => {}, null, ...none)",
    "if_(l, xs, () => {}, null, ...none)",
    "if_(l, eager(2), () => {}, null, ...none)",
    "cond_(l, x, () => 1, () => 2, ...none)",
    "and(l, x, () => true)",
    "or(l, x.gt(0), () => x)",
    "not(l, xs)",
    "while_(l, () => x, () => {}, ...none)",
    "for_(l, () => [0], (i) => x.sub(i), (i) => [add(i, 1)], (i) => [i], ...none, ['i'], false)",
    'bool(l, "it contains await", x.gt(0))',
    'bool(l, "it contains await", eager(0.5))',
  ],
  branches: [
    "let y; if_(l, c, () => { y = x; }, null, ...of('y', () => y, (v) => { y = v; })); return y",
    "let y; if_(l, c, () => { y = c; }, () => { y = x; }, ...of('y', () => y, (v) => { y = v; })); return y",
    "let y; if_(l, c, () => { y = x; }, () => { y = whole; }, ...of('y', () => y, (v) => { y = v; })); return y",
    "let y = 0; if_(l, c, () => { y = xs; }, null, ...of('y', () => y, (v) => { y = v; })); return y",
    "let y = 0; if_(l, c, () => { y = c; }, null, ...of('y', () => y, (v) => { y = v; })); return y",
    "let mode; if_(l, c, () => { mode = 'b'; }, () => { mode = 'a'; }, ...of('mode', () => mode, (v) => { mode = v; })); return mode",
    "let mode = null; if_(l, c, () => { mode = x; }, null, ...of('mode', () => mode, (v) => { mode = v; })); return mode",
    "let out = []; if_(l, c, () => { out = [...out, x]; }, null, ...of('out', () => out, (v) => { out = v; })); return out",
    "let p = { a: x, b: 'k' }; if_(l, c, () => { p = { a: x, b: 'q' }; }, null, ...of('p', () => p, (v) => { p = v; })); return p",
    "cond_(l, c, () => x, () => 'text', ...none)",
    "cond_(l, c, () => ({ a: x }), () => ({ b: x, c: 1 }), ...none)",
    "cond_(l, c, () => x, () => undefined, ...none)",
    "let y = x; if_(l, c, () => { if_(l2, x.gt(1), () => { y = xs; }, null, ...of('y', () => y, (v) => { y = v; })); }, null, ...of('y', () => y, (v) => { y = v; })); return y",
    "if_(l, c, () => { x.add(sinter.ones([2])).add(sinter.ones([3])); }, null, ...none)",
    "const out = []; if_(l, c, () => { out.push(x.mul(2)); }, null, ...none); return out[0].add(1)",
    "if_(l, c, () => { if_(l2, x.gt(1), () => { throw new RangeError('too large'); }, null, ...none); }, null, ...none)",
    "const f = (y) => cond_(l, y.gt(0), () => f(y.sub(1)), () => y, ...none); return f(x)",
  ],
  returns: [
    "let $r = false, $v = U; if_(l, c, () => { $v = x; $r = true; }, null, ...all(() => [$r, $v], (v) => { [$r, $v] = v; }, '$r $v')); return ret(l2, $r, $v, true)",
    "let $r = false, $v = U; if_(l, c, () => { $v = x; $r = true; }, () => { $v = undefined; $r = true; }, ...all(() => [$r, $v], (v) => { [$r, $v] = v; }, '$r $v')); return ret(l2, $r, $v, true)",
    "let $r = false, $v = U; if_(l, c, () => { $v = x; $r = true; }, () => { $v = xs; $r = true; }, ...all(() => [$r, $v], (v) => { [$r, $v] = v; }, '$r $v')); return ret(l2, $r, $v, false)",
  ],
  loops: [
    "let last; while_(l, () => x.gt(0), () => { last = x; }, ...of('last', () => last, (v) => { last = v; })); return last",
    "let i = x; while_(l, () => x.gt(0), () => { i = x.gt(1); }, ...of('i', () => i, (v) => { i = v; })); return i",
    "let i = whole; while_(l, () => x.gt(0), () => { i = i.mul(0.5); }, ...of('i', () => i, (v) => { i = v; })); return i",
    "let y = x; while_(l, () => y.sum().gt(0), () => { y = sinter.stack([y, y]); }, ...of('y', () => y, (v) => { y = v; })); return y",
    "let mode = 'a'; while_(l, () => x.gt(0), () => { mode = 'b'; }, ...of('mode', () => mode, (v) => { mode = v; })); return mode",
    "let out = []; while_(l, () => x.gt(0), () => { out = [...out, x.add(1)]; }, ...of('out', () => out, (v) => { out = v; })); return out",
    "let y = x; while_(l, () => x.gt(0), () => { y = undefined; }, ...of('y', () => y, (v) => { y = v; })); return y",
    "const out = []; let y = x; while_(l, () => y.lt(9), () => { y = y.add(1); out.push(y); }, ...of('y', () => y, (v) => { y = v; })); return out[0].add(1)",
    "let n = 0; const a = [1, 2]; while_(l, () => lt(n, x), () => { a[n]; n = inc(n); }, ...of('n', () => n, (v) => { n = v; })); return n",
    "let n = 0; while_(l, () => lt(n, x), () => { Math.sqrt(n); n = inc(n); }, ...of('n', () => n, (v) => { n = v; })); return n",
    "let n = 0; while_(l, () => lt(n, x), () => { String(n); n = inc(n); }, ...of('n', () => n, (v) => { n = v; })); return n",
    "let n = 0; while_(l, () => lt(n, x), () => { n = n + 1; }, ...of('n', () => n, (v) => { n = v; })); return n",
    "forOf_(l, x, () => {}, null, ...none)",
    "forOf_(l, sinter.range(x), () => {}, null, ...none)",
    "forOf_(l, 3, () => {}, null, ...none)",
    "for (const row of xs) row",
  ],
  "loops that do not end while tracing": [
    "let y = x; while_(l, () => true, () => { y = y.add(1); }, ...of('y', () => y, (v) => { y = v; })); return y",
    "let y = x; for (let n = 0; ; n++) { y = y.add(n); if (exit(l, x.gt(0), n)) break; } return y",
    "const a = [x]; let y = x; for_(l, () => [0], (i) => lt(i, 20000), (i) => [inc(i)], (i) => { y = y.add(a[mod(i, 1)]); return [i]; }, ...of('y', () => y, (v) => { y = v; }), ['i'], true); return y",
  ],
};

const one = (name: string, get: () => unknown, set: (value: unknown) => void): unknown[] =>
  state(
    () => [get()],
    ([value]) => set(value),
    name,
  );

/** Runs a program and returns what it throws; anything but an error of Sinter's own, or of JavaScript's, fails. */
function failureOf(program: string): Error {
  const names = {
    ...$ag,
    sinter,
    l,
    l2: $l[11]!,
    none: state(
      () => [],
      () => {},
      "",
    ),
    of: one,
    all: state,
    xs: sinter.ones([3]),
    whole: sinter.tensor(1, { dtype: "i32" }),
    eager: (value: number) => sinter.tensor(value),
  };
  const body = new Function(
    ...Object.keys(names),
    `"use strict"; return (x) => { const c = x.gt(0); ${/\breturn\b|^for /.test(program) ? program : `return ${program}`} }`,
  ) as (...values: unknown[]) => (x: sinter.Tensor) => unknown;
  const given = (x: sinter.Tensor): unknown => {
    // The eager tensors as values of the trace.
    const symbolic = { ...names, xs: $ag.at(l, names.xs.mul(x)), whole: names.whole.mul(x.cast("i32")) };
    return body(...Object.values(symbolic))(x);
  };
  try {
    compiled(given, { name: "f", backend: "reference" })(sinter.tensor(2));
  } catch (error) {
    return error as Error;
  }
  throw new Error(`${program} does not throw`);
}

const written: string[] = [];
for (const [topic, programs] of Object.entries(mistakes))
  test(topic, () => {
    written.push(`# ${topic}`);
    for (const program of programs) {
      const error = failureOf(program);
      expect(sinter.tensor([1]).add(1).item(), `after ${program}`).toBe(2);
      const text = error.message.replace(/\n {4}at .*/, "").replaceAll("\n", "\n  ");
      written.push(`${program}\n  ${error.name}: ${text}`);
    }
  });

test("ag-messages.txt holds the messages", async () => {
  await expect(`${written.join("\n\n")}\n`).toMatchFileSnapshot("ag-messages.txt");
});

test("a message tells where the construct is, never as a line of a stack", () => {
  const error = failureOf("let y; if_(l, c, () => { y = x; }, null, ...of('y', () => y, (v) => { y = v; })); return y");
  expect(error).toBeInstanceOf(sinter.SinterError);
  expect(error).toMatchObject({ name: "StagingError", where: "a.ts:10:1" });
  expect(error.message).not.toMatch(/\n\s*at /);
  expect(error.stack).toContain(error.message);
  expect(error.stack).not.toContain("/tracer/src/ag/");
});

test("variables are as they were after an error", () => {
  let y: unknown = 1;
  const how = one(
    "y",
    () => y,
    (value) => {
      y = value;
    },
  ) as ReturnType<typeof state>;
  for (const stage of [
    (x: sinter.Tensor) =>
      $ag.if_(
        l,
        x.gt(0),
        () => void (y = "a"),
        () => void (y = "b"),
        ...how,
      ),
    (x: sinter.Tensor) =>
      $ag.while_(
        l,
        () => x.gt(0),
        () => void (y = "a"),
        ...how,
      ),
  ]) {
    expect(() => compiled((x) => stage(x))(sinter.tensor(1))).toThrow("'y' is");
    expect(y).toBe(1);
  }
});
