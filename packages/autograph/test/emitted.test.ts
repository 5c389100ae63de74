// The code that each construct becomes, as reviewed text, and code that must stay as it is.

import { methodNames } from "@sinter/tracer";
import { describe, expect, test } from "vitest";
import { operations } from "../src/lower/calls.ts";
import { fileOf, project, transformed } from "./support/transform.ts";

const cases: readonly [name: string, body: string][] = [
  [
    "if",
    "export function f(x: Tensor) {\n  let y = x; // kept\n  if (x.gt(0)) {\n    y = x.add(1);\n  } else y = x;\n  return y;\n}",
  ],
  ["if without else", "export function f(x: Tensor) {\n  if (x.gt(0)) x = x.add(1);\n  return x;\n}"],
  [
    "else if",
    "export function f(x: Tensor) {\n  if (x.gt(2)) x = x.add(1);\n  else if (x.gt(1)) x = x.add(2);\n  else x = x.add(3);\n  return x;\n}",
  ],
  [
    "early return takes the rest",
    "export function f(x: Tensor) {\n  if (x.gt(0)) return x;\n  const y = x.mul(2);\n  return y.add(x);\n}",
  ],
  [
    "a chain of returns",
    "export function f(x: Tensor) {\n  if (x.gt(2)) return x;\n  else if (x.gt(1)) return x.add(1);\n  return x.add(2);\n}",
  ],
  [
    "a return deeper down guards the rest",
    "export function f(x: Tensor, p: boolean) {\n  if (p) {\n    if (x.gt(0)) return x;\n    x = x.add(1);\n  }\n  x = x.mul(2);\n  return x;\n}",
  ],
  ["return without value", "export function f(x: Tensor, v: Variable) {\n  if (x.gt(0)) return;\n  v.assign(x);\n}"],
  ["while", "export function f(x: Tensor) {\n  while (x.lt(10)) x = x.mul(2);\n  return x;\n}"],
  [
    "break and continue",
    "export function f(x: Tensor) {\n  while (x.lt(10)) {\n    x = x.mul(2);\n    if (x.gt(5)) break;\n    if (x.gt(4)) continue;\n    x = x.add(1);\n  }\n  return x;\n}",
  ],
  ["do", "export function f(x: Tensor) {\n  let y: Tensor;\n  do y = x.add(1);\n  while (y.lt(0));\n  return x;\n}"],
  [
    "for",
    "export function f(x: Tensor): Tensor | number {\n  let n = 0;\n  for (let i = 0, k = 1; x.gt(i); i++) n += k;\n  return n;\n}",
  ],
  [
    "for with an outer counter and an exit",
    "export function f(x: Tensor): Tensor | number {\n  let i = 0;\n  for (; i < 10; i++) if (x.lt(i)) break;\n  return i;\n}",
  ],
  [
    "for that can be rolled",
    "export function f(x: Tensor, steps: number) {\n  for (let i = 0; i < steps; i++) x = x.sub(x.mul(0.1));\n  return x;\n}",
  ],
  [
    "for that can be rolled until a tensor ends it",
    "export function f(x: Tensor) {\n  let guess = x;\n  for (let i = 0; i < 50; i++) {\n    const next = guess.add(x.div(guess)).div(2);\n    if (next.sub(guess).lt(1e-6)) return next;\n    guess = next;\n  }\n  return guess;\n}",
  ],
  [
    "numbers of a loop that can be rolled",
    "export function f(x: Tensor) {\n  let lr = 0.1;\n  for (let i = 0; i < 50; i++) {\n    x = x.sub(x.mul(lr));\n    lr *= 0.9;\n  }\n  return x;\n}",
  ],
  [
    "a number of a loop with an exit that is read after it",
    "export function f(x: Tensor) {\n  let n = 0;\n  for (let i = 0; i < 50; i++) {\n    x = x.mul(2);\n    n += 1;\n    if (x.gt(9)) break;\n  }\n  return x.add(n);\n}",
  ],
  [
    "for-of over rows",
    "export function f(x: Tensor) {\n  let sum = x;\n  for (const row of x) {\n    if (row.gt(9)) break;\n    sum = sum.add(row);\n  }\n  return sum;\n}",
  ],
  [
    "for-of over a range",
    "export function f(x: Tensor) {\n  for (const i of range(10)) {\n    if (i % 2 === 0) continue;\n    x = x.add(i * 2);\n  }\n  return x;\n}",
  ],
  [
    "for-of into a variable",
    "export function f(x: Tensor) {\n  let row = x;\n  for (row of x) x = x.add(row);\n  return row;\n}",
  ],
  [
    "for-of with a name declared again",
    "export function f(x: Tensor) {\n  for (const row of x) {\n    const row = x;\n    x = row.add(1);\n  }\n  return x;\n}",
  ],
  [
    "a plain loop with a staged exit",
    "export function f(xs: Tensor[]) {\n  let y = xs[0]!;\n  for (const x of xs) {\n    if (x.gt(1)) break;\n    y = y.add(x);\n  }\n  return y;\n}",
  ],
  [
    "an endless loop",
    "export function f(x: Tensor) {\n  for (;;) {\n    x = x.add(1);\n    if (x.gt(9)) return x;\n  }\n}",
  ],
  [
    "while (true)",
    "export function f(x: Tensor) {\n  while (true) {\n    if (x.gt(9)) break;\n    x = x.add(1);\n  }\n  return x;\n}",
  ],
  [
    "labels",
    "export function f(x: Tensor) {\n  outer: while (x.lt(9)) {\n    for (const row of x) {\n      if (row.gt(1)) continue outer;\n      if (row.gt(2)) break outer;\n      x = x.add(row);\n    }\n    x = x.add(1);\n  }\n  return x;\n}",
  ],
  [
    "a labelled block",
    "export function f(x: Tensor) {\n  found: {\n    if (x.gt(0)) break found;\n    x = x.add(1);\n  }\n  return x;\n}",
  ],
  ["ternary", "export const f = (x: Tensor, y: Tensor) => (x.gt(0) ? x : y.gt(0) ? y : x);"],
  [
    "logical operators",
    "export function f(x: Tensor, p: boolean) {\n  if (!x.gt(0) && (p || x.lt(1))) x = x.add(1);\n  const both = x && x.gt(1);\n  return both;\n}",
  ],
  ["logical assignment", "export function f(x: Tensor, y: Tensor) {\n  x &&= y;\n  return x;\n}"],
  ["comparison of tensors", "export const f = (x: Tensor, y: Tensor) => (x < y ? x : y);"],
  ["throw", "export function f(x: Tensor) {\n  if (x.gt(1)) throw new Error('too large');\n  return x;\n}"],
  [
    "try and finally",
    "export function f(x: Tensor, log: () => void) {\n  try {\n    if (x.gt(0)) return x;\n    x = x.add(1);\n  } finally {\n    log();\n  }\n  return x;\n}",
  ],
  [
    "numbers that become tensors",
    "export function f(x: Tensor) {\n  let n = 0;\n  let done = false;\n  while (!done) {\n    n++;\n    if (x.lt(n)) done = true;\n  }\n  const last = n--;\n  let k = -last;\n  k **= 2;\n  if (k === 4 && n > 1) return x;\n  return x.add(++n).add(k % 3);\n}",
  ],
  [
    "paths",
    "export class Cell {\n  h: Tensor;\n  n = 0;\n  constructor(h: Tensor) { this.h = h; }\n  step(x: Tensor, o: { a: Tensor[] }): Tensor | number {\n    if (x.gt(0)) {\n      this.h = x;\n      this.n += 1;\n      o.a[0] = x;\n    }\n    return this.n;\n  }\n}",
  ],
  [
    "var",
    "export function f(x: Tensor) {\n  if (x.gt(0)) {\n    var y: Tensor = x, n: number;\n    n = 1;\n    for (var i = 0; i < n; i++) y = y.add(i);\n  } else y = x;\n  return y;\n}",
  ],
  [
    "closures",
    "export function f(x: Tensor) {\n  let n = 0;\n  const count = () => { n += 1; };\n  if (x.gt(0)) count();\n  if (x.gt(1)) [1].forEach(() => { x = x.add(n); });\n  return x;\n}",
  ],
  [
    "functions in a block",
    "export function f(x: Tensor, p: boolean) {\n  while (x.lt(9)) {\n    function g(k: boolean) {\n      if (k) return 1;\n      return 2;\n    }\n    x = x.add(g(p));\n  }\n  return x;\n}",
  ],
  [
    "await beside and inside",
    "export async function f(x: Tensor) {\n  if (x.gt(0)) x = x.add(1);\n  if (x.gt(1)) await x.data();\n  if (x.gt(2)) return x;\n  await x.data();\n  for (const row of x) if (row.gt(1)) break;\n  return x;\n}",
  ],
  [
    "generators",
    "export function* f(x: Tensor) {\n  while (x.lt(9)) yield x;\n  if (x.gt(1)) x = x.add(1);\n  return x;\n}",
  ],
  [
    "a switch",
    "export function f(x: Tensor, mode: string) {\n  switch (mode) {\n    case 'a':\n      if (x.gt(0)) x = x.add(1);\n      break;\n  }\n  return x;\n}",
  ],
  ["any", "export function f(x: any) {\n  if (x) x = 1;\n  return x;\n}"],
  ["a type parameter", "export function f<T extends Tensor>(x: T, y: T) {\n  return x ? x : y;\n}"],
  [
    "arguments and this stay",
    "export function f(this: { t: Tensor }): Tensor | number {\n  if (this.t.gt(0)) return arguments.length;\n  return 0;\n}",
  ],
  [
    "compile",
    "let rate = 0.1;\nrate = 0.2;\nlet fixed = 1;\nconst scale = (x: Tensor) => x.mul(rate);\nexport const f = compile((x: Tensor) => scale(x).add(fixed));\nexport const g = compile(scale, { name: 'g' });\nexport const h = compile(Math.abs as never);",
  ],
  [
    "ignored",
    "export function f(x: Tensor) {\n  // @ag-ignore\n  if (x.gt(0)) x = x.add(1);\n  if (x.gt(1)) x = x.add(2);\n  return x;\n}",
  ],
];

test("what each construct becomes", async () => {
  const text = cases.map(([name, body]) => `## ${name}\n${transformed(body)}\n`);
  await expect(text.join("\n")).toMatchFileSnapshot("emitted.txt");
});

test("tags and checks", async () => {
  const body = [
    "export function f(x: Tensor, xs: number[], o: { training: boolean }) {",
    "  if (o.training && xs.includes(1)) x = x.add(x.mul(2).sum());",
    "  while (xs.length > 0) xs.pop();",
    "  return where(x.gt(0), x?.add(1), xs.slice(1).concat(2).length).matmul(x.slice(0));",
    "}",
  ].join("\n");
  await expect(transformed(body, { tags: true, checks: true })).toMatchFileSnapshot("tags.txt");
});

test("the first line: import and locations, where nothing that must come first is displaced", () => {
  const body = 'import type { Tensor } from "sinter";\nexport const f = (x: Tensor) => (x.gt(0) ? x : x);';
  const head = 'import * as $ag from "sinter/ag"; var $l = $ag.locs("src/case.ts", [[2,34]]); ';
  const code = (text: string): string => project().transform(text, "src/case.ts").code;
  const at = (line: number): string => head.replace("[2,", `[${line},`);
  expect(code(body)).toContain(`${head}import type`);
  expect(code(`// a\n/** b */\n${body}`)).toContain(`// a\n/** b */\n${at(4)}import type`);
  expect(code(`#!/usr/bin/env node\n${body}`)).toContain(`#!/usr/bin/env node\n${at(3)}import type`);
  expect(code(`"use strict";\n${body}`)).toContain(`"use strict"; ${at(3).trimEnd()}\nimport type`);
});

describe("what stays byte for byte", () => {
  const same: readonly [name: string, text: string][] = [
    [
      "plain conditions",
      fileOf(
        "export function f(x: Tensor, n: number) {\n  if (n > 0) return x;\n  for (let i = 0; i < n; i++) n--;\n  while (n) n--;\n  return n ? x : n;\n}",
      ),
    ],
    [
      "presence of a tensor",
      fileOf(
        "export const f = (x: Tensor, b?: Tensor | null) => {\n  if (b) x = x.add(b);\n  if (!b) return x;\n  return x;\n};\nexport const g = (x: Tensor, b?: Tensor) => b && x.add(b);",
      ),
    ],
    [
      "a file that imports nothing of the library",
      'import { f } from "./other.js";\nexport const g = (x: any) => { if (f(x)) return 1; return 2; };\n',
    ],
    ["a file that imports nothing", "export const g = (x) => (x ? 1 : 2);\n"],
    ["a file that asks for it", `// @ag-ignore\n${fileOf("export const f = (x: Tensor) => (x.gt(0) ? x : 1);")}`],
    [
      "a function whose compile says so",
      fileOf("export const f = compile((x: Tensor) => (x.gt(0) ? x : 1), { autograph: false });"),
    ],
    ["a method marked so", fileOf("export class A {\n  // @ag-ignore\n  f(x: Tensor) { return x.gt(0) ? x : 1; }\n}")],
    ["identity", fileOf("export const f = (x: Tensor, y: Tensor) => { if (x === y) return x; return y; };")],
    ["a file that was transformed", transformedOnce()],
  ];
  test.each(same)("%s", (_name, text) => {
    expect(project().transform(text, "src/case.ts")).toEqual({
      code: text,
      map: null,
      changed: false,
      diagnostics: [],
    });
  });

  test("all around a construct", () => {
    const odd = "\tconst   s = `a` ;;  /* x */ // y\r\n  let q=[1,2 ,3]\n";
    const source = fileOf(
      `${odd}export function f(x: Tensor) {\n${odd}  if (x.gt(0)) x = x.add(1)\n${odd}  return x\n}\n${odd}`,
    );
    const { code } = project().transform(source, "src/case.ts");
    expect(code.split(odd)).toHaveLength(source.split(odd).length);
    expect(code.split("\n")).toHaveLength(source.split("\n").length);
  });
});

function transformedOnce(): string {
  return project().transform(fileOf("export const f = (x: Tensor) => (x.gt(0) ? x : 1);"), "src/case.ts").code;
}

test("every method that is an array operation is tagged", () => {
  expect(methodNames.filter((name) => !operations.has(name))).toEqual([]);
});
