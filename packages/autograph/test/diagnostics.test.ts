// Every code that the transform reports, with its message and place, and what stays free of it.
import { codes, formatDiagnostic } from "@sinter/autograph";
import { describe, expect, test } from "vitest";
import { fileOf, problems, project } from "./support/transform.ts";

const cases: readonly [name: string, body: string][] = [
  ["AG1000", "export function f(x: Tensor) { if (x { } }"],
  ["AG1002", "export function f(x: Tensor) { let $v = x; if (x.gt(0)) $v = x.neg(); return $v; }"],
  ["AG1003", "export function f(x: Tensor) { let n = 0; for (const k in x) n++; return n; }"],
  [
    "AG1003 for await",
    "export async function f(x: Tensor) { for await (const k of x as Tensor & AsyncIterable<Tensor>) k.sum(); }",
  ],
  [
    "AG1004 returned",
    "const positive = (x: Tensor): boolean => !x.lt(0);\nexport const f = (x: Tensor) => (positive(x) ? x : x.neg());",
  ],
  [
    "AG1004 flag",
    "export function f(x: Tensor) {\n  let found = false;\n  if (x.gt(0)) found = true;\n  return found;\n}",
  ],
  ["AG1004 argument", "const g = (b: boolean) => b;\nexport const f = (x: Tensor, y: Tensor) => g(x < y);"],
  ["AG1004 property", "export const f = (x: Tensor, y: boolean) => {\n  const o = { done: x && y };\n  return o;\n};"],
  ["AG1005", "export function f(x: Tensor, a: Tensor[], i: number) {\n  if (x.gt(0)) a[i] = x;\n  return a;\n}"],
  ["AG1005 operand", "export function f(x: Tensor) {\n  let y = x;\n  x && (y = y.add(1));\n  return y;\n}"],
  [
    "AG1005 shadowed",
    "export function f(x: Tensor): Tensor | number {\n  let n = 0;\n  const bump = () => { n++; };\n  const g = (n: Tensor) => {\n    if (n.gt(0)) bump();\n  };\n  g(x);\n  return n;\n}",
  ],
  [
    "AG1006",
    "export function f(x: Tensor, mode: string) {\n  switch (mode) {\n    case 'a':\n      if (x.gt(0)) break;\n      x = x.add(1);\n  }\n  return x;\n}",
  ],
  [
    "AG1006 return",
    "export function f(x: Tensor, mode: string) {\n  switch (mode) {\n    case 'a':\n      if (x.gt(0)) return x;\n      x = x.add(1);\n  }\n  return x;\n}",
  ],
  ["AG1007", "export function f(x: Tensor) {\n  switch (x.sum()) {\n    default:\n      return x;\n  }\n}"],
  [
    "AG1007 number",
    "export function f(x: Tensor) {\n  let n = 0;\n  while (x.gt(n)) n++;\n  switch (n) {\n    case 1:\n      return x;\n  }\n  return x.neg();\n}",
  ],
  [
    "AG1007 case",
    "export function f(x: Tensor) {\n  switch (true) {\n    case x.gt(1):\n      return x;\n    default:\n      return x.neg();\n  }\n}",
  ],
  ["AG1008", "export function f(x: Tensor, m?: Tensor) {\n  if (m && x.gt(0)) return m;\n  return x;\n}"],
  [
    "AG1009 function",
    "export function f(x: Tensor) {\n  const y = g();\n  if (x.gt(0)) return y;\n  function g() { return x.add(1); }\n  return g();\n}",
  ],
  [
    "AG1009 const",
    "export function f(x: Tensor) {\n  const g = () => k.add(1);\n  if (x.gt(0)) return x;\n  const k = x.mul(2);\n  return g();\n}",
  ],
  ["AG1010", "export function f(x: Tensor) {\n  if (x.gt(0)) {\n    var [a] = [x];\n    x = a;\n  }\n  return x;\n}"],
  [
    "AG1011",
    "export function f(x: Tensor) {\n  try {\n    if (x.gt(0)) throw new Error('no');\n  } catch {\n    return x;\n  }\n  return x.neg();\n}",
  ],
  [
    "AG1012",
    "export const g = compile(async (x: Tensor) => {\n  while (x.gt(0)) {\n    await x.data();\n    x = x.sub(1);\n  }\n  return x;\n});",
  ],
  [
    "AG1013",
    "export function f(x: Tensor) {\n  const all: Tensor[] = [];\n  while (x.gt(0)) {\n    all.push(x);\n    x = x.sub(1);\n  }\n  return all;\n}",
  ],
  [
    "AG1013 range",
    "export function f(x: Tensor) {\n  const all: Tensor[] = [];\n  for (const i of range(3)) all.push(x.add(i));\n  return all;\n}",
  ],
  ["AG1014 exits", "export function sign(x: Tensor): number {\n  if (x.gt(0).any()) return 1;\n  return -1;\n}"],
  ["AG1014 variable", "export function f(x: Tensor) {\n  let n = 0;\n  if (x.gt(0)) n = 1;\n  return n;\n}"],
  ["AG1014 choice", "export const f = (x: Tensor) => (x.gt(0) ? 1 : -1);"],
  [
    "AG1014 part",
    "export function f(x: Tensor) {\n  if (x.gt(0)) return { x, found: true, at: 1 };\n  return { x, found: false, at: -1 };\n}",
  ],
  [
    "AG1014 enum",
    "enum Side { Left, Right }\nexport function f(x: Tensor): Side {\n  if (x.gt(0)) return Side.Left;\n  return Side.Right;\n}",
  ],
  [
    "AG1014 and the use",
    "function sign(x: Tensor): number {\n  if (x.gt(0).any()) return 1;\n  return -1;\n}\nexport function f(x: Tensor) {\n  switch (sign(x)) {\n    case 1:\n      return x;\n  }\n  return sign;\n}",
  ],
  [
    "AG1015",
    "export function f(x: Tensor, m: Map<number, Tensor>, s: Set<number>) {\n  let n = 0;\n  while (x.gt(n)) n++;\n  const found = [1, 2].includes(n) || [1].indexOf(n) > 0 || s.has(n) || Object.is(n, 1) || typeof n === 'number';\n  if (found || Number.isFinite(n) || Number.isInteger(n + 1) || Number.isNaN(n)) return x;\n  return m.get(n) ?? x;\n}",
  ],
  [
    "AG1015 in a loop",
    "export function f(x: Tensor) {\n  let n = 0;\n  for (const k of [1, 2]) {\n    if ([1, 2].includes(n)) x = x.neg();\n    if (x.gt(k)) n = k;\n  }\n  return x;\n}",
  ],
];

test("every code", async () => {
  const text = cases.map(([name, body]) => {
    const source = fileOf(body);
    const found = project().transform(source, "src/case.ts").diagnostics;
    return `## ${name}\n${found.map((d) => formatDiagnostic(d, source)).join("\n")}\n`;
  });
  await expect(text.join("\n")).toMatchFileSnapshot("diagnostics.txt");
});

test("every code has a case, and each case has its code", () => {
  const reported = new Set<string>();
  for (const [name, body] of cases) {
    const found = problems(body).map((p) => p.slice(0, 6));
    expect(found, name).toContain(name.slice(0, 6));
    for (const code of found) reported.add(code);
  }
  // AG1001 belongs to the check.
  expect([...reported, "AG1001"].sort()).toEqual(Object.keys(codes));
});

test("a file with an error is left as it is", () => {
  const source = fileOf("export function f(x: Tensor) { if (x.gt(0)) return x; switch (x) {} return x.neg(); }");
  const result = project().transform(source, "src/case.ts");
  expect(result).toMatchObject({ code: source, map: null, changed: false });
});

describe("what is no error", () => {
  const fine: readonly [name: string, body: string][] = [
    [
      "a flag that stays inside",
      "export function f(x: Tensor) { let b = false; if (x.gt(0)) b = true; if (!b) return x; return x.neg(); }",
    ],
    [
      "a flag returned from a compiled function",
      "export const f = compile((x: Tensor) => { let b = false; if (x.gt(0)) b = true; return { b }; });",
    ],
    [
      "a flag returned by a function that is only compiled",
      "function f(x: Tensor) { let b = false; if (x.gt(0)) b = true; return b; }\nexport const g = compile(f);",
    ],
    ["a flag with a declared type", "export function f(x: Tensor): Tensor | boolean { return !x.gt(0); }"],
    ["a flag given to the library", "export const f = (x: Tensor) => where(!x.gt(0), x, 1);"],
    [
      "a flag of a condition whose type is any",
      "export function f(x: any) { let b = false; if (x) b = true; return b; }",
    ],
    [
      "a throw that is caught in its block",
      "export function f(x: Tensor) { if (x.gt(0)) { try { throw new Error('a'); } catch { x = x.neg(); } } return x; }",
    ],
    [
      "a list grown where nothing can be traced",
      "export async function f(x: Tensor) { const all: Tensor[] = []; for (const i of range(3)) all.push(x.add(i)); return all; }",
    ],
    [
      "a list of the loop's own",
      "export function f(x: Tensor) { for (const i of range(3)) { const a: Tensor[] = []; a.push(x); x = x.add(a.length + i); } return x; }",
    ],
    [
      "a write to what the block made",
      "export function f(x: Tensor, i: number) { if (x.gt(0)) { const a = [x]; a[i] = x; } return x; }",
    ],
    [
      "both asked after the other",
      "export function f(x: Tensor, m?: Tensor) { if (m) { if (m.gt(0)) return m; } return x; }",
    ],
    [
      "a number that a compiled function returns",
      "export const f = compile((x: Tensor) => { let n = 0; if (x.gt(0)) n = 1; return { n }; });",
    ],
    [
      "a number with a declared type",
      "export function f(x: Tensor): number | Tensor { if (x.gt(0)) return 1; return -1; }",
    ],
    [
      "a part with a declared type",
      "export function f(x: Tensor): { n: number | Tensor } { if (x.gt(0)) return { n: 1 }; return { n: 2 }; }",
    ],
    [
      "one number on all ways",
      "export function f(x: Tensor) { if (x.gt(0)) return { x, n: x.rank }; x = x.neg(); return { x, n: x.rank }; }",
    ],
    ["a number or a tensor", "export function f(x: Tensor) { if (x.gt(0)) return x; return 0; }"],
    [
      "a number that no tensor decides",
      "export function f(x: Tensor, k: number) { let n = 1; for (let i = 0; i < k; i++) n *= 2; if (n > 4) return 1; return [2, 4].includes(n) ? n : x.rank; }",
    ],
    [
      "a number before the staged block",
      "export function f(x: Tensor) { let n = x.rank; if ([1, 2].includes(n)) return x; if (x.gt(0)) n = 1; return x.mul(n); }",
    ],
    [
      "a number given to a local function before the staged block",
      "const known = (k: number) => [1, 2].includes(k);\nexport function f(x: Tensor) { let n = x.rank; if (known(n)) return x; if (x.gt(0)) n = 1; return x.mul(n); }",
    ],
    [
      "a number assigned and looked up in one arm",
      "export function f(x: Tensor) { let n = 0; if (x.gt(0)) { n = x.rank; if ([1, 2].includes(n)) x = x.neg(); } return x.mul(n); }",
    ],
    [
      "a field of another object with the name of a staged one",
      "class A { n = 0; go(x: Tensor) { if (x.gt(0)) this.n += 1; } }\nexport const f = (o: { n: number }, a: A) => { a.n = 0; return [1].includes(o.n) ? o.n : 2; };",
    ],
    [
      "a number of a function that only computes",
      "export async function f(x: Tensor) { let n = 0; while (x.gt(n)) n++; return [1, 2].includes(n) ? n : 0; }",
    ],
    [
      "a callback whose result nobody takes",
      "export function f(xs: Tensor[]) { let n = 0; xs.forEach((x) => (x.gt(0) ? n++ : 0)); return xs; }",
    ],
    ["the callback of a sort", "export const f = (xs: Tensor[]) => xs.sort((a, b) => (a.gt(b) ? 1 : -1));"],
    [
      "a local function whose calls are followed",
      "function sign(x: Tensor): number { if (x.gt(0).any()) return 1; return -1; }\nexport const f = (x: Tensor) => (sign(x) === 1 && sign(x) > 0 ? x : x.mul(sign(x)));",
    ],
    ["presence of both", "export function f(x: Tensor, m?: Tensor, k?: Tensor) { if (m && k) return m; return x; }"],
  ];
  test.each(fine)("%s", (_name, body) => expect(problems(body)).toEqual([]));
});

describe("AG1001, in the check", () => {
  const conditions = (body: string, transformed: boolean): string[] =>
    project()
      .conditions(fileOf(body), "src/case.ts", transformed)
      .map((d) => `${d.code} ${d.line - 1}:${d.column} ${d.message}`);
  const body = [
    "export function f(x: Tensor, y?: Tensor) {",
    "  // @ag-ignore",
    "  if (x.gt(0)) return x;",
    "  if (y) return y;",
    "  const b = x && 1;",
    "  return x.lt(1) ? Boolean(x) : b;",
    "}",
  ].join("\n");

  test("of a file that is transformed: only what the transform leaves alone", () => {
    expect(conditions(body, true)).toEqual([
      `AG1001 3:7 x.gt(0) is a tensor, used as a condition; ${codes.AG1001.instead}`,
      `AG1001 6:28 x is a tensor, used as Boolean(); ${codes.AG1001.instead}`,
    ]);
  });

  test("of any other file: all", () => {
    expect(conditions(body, false).map((line) => line.slice(0, 12))).toEqual([
      "AG1001 3:7 x",
      "AG1001 5:13 ",
      "AG1001 6:10 ",
      "AG1001 6:28 ",
    ]);
  });
});

test("AG1001, in the check: the answers of callbacks that arrays ask", () => {
  const body = "export const f = (xs: Tensor[]) => xs.filter((x) => x.gt(0)).some((x) => x.gt(1).item());";
  const found = project().conditions(fileOf(body), "src/case.ts", true);
  expect(found.map((d) => d.message.split(";")[0])).toEqual(["x.gt(0) is a tensor, used as the answer of filter()"]);
});

test("classification of conditions", () => {
  const staged = (parameters: string, condition: string): string => {
    const found = problems(
      `export function f(${parameters}): Tensor | number {\n  if (${condition}) return 1;\n  return 2;\n}`,
    );
    if (found.length > 0) return found[0]!.slice(0, 6);
    const body = `export function f(${parameters}): Tensor | number {\n  if (${condition}) return 1;\n  return 2;\n}`;
    return project().transform(fileOf(body), "src/case.ts").changed ? "staged" : "native";
  };
  const table: readonly [parameters: string, condition: string, kind: string][] = [
    ["x: Tensor", "x", "staged"],
    ["x: Variable", "x", "staged"],
    ["x: Tensor | boolean", "x", "staged"],
    ["x: Tensor | number", "x", "staged"],
    ["x: any", "x", "staged"],
    ["x: unknown", "x", "staged"],
    ["x: Tensor | undefined", "x", "native"],
    ["x: Tensor | null", "!x", "native"],
    ["x: Tensor", "!x", "staged"],
    ["x: Tensor", "!!x", "staged"],
    ["x: Tensor", "(x as Tensor)!", "staged"],
    ["x: Tensor, p: boolean", "p && x", "staged"],
    ["x: Tensor, p: boolean", "x || p", "staged"],
    ["x: Tensor, p: boolean", "p || !p", "native"],
    ["x: Tensor, y: Tensor", "x < y", "staged"],
    ["x: Tensor, y: Tensor", "x === y", "native"],
    ["x: Tensor, y?: Tensor", "y === undefined", "native"],
    ["x: Tensor, y?: Tensor", "y !== undefined && y", "staged"],
    ["x: Tensor, y?: Tensor", "y && x", "AG1008"],
    ["x: Tensor, y?: Tensor", "y && y.gt(0)", "AG1008"],
    ["x: Tensor, y?: Tensor", "y || !x", "AG1008"],
    ["x: Tensor, n: number", "x.rank > n", "native"],
    ["x: Tensor[]", "x", "native"],
    ["x: { t: Tensor }", "x.t", "staged"],
    ["x: { t?: Tensor }", "x?.t", "native"],
    ["x: Tensor", "typeof x", "native"],
    ["x: Tensor", "x instanceof Object", "native"],
  ];
  expect(table.map(([parameters, condition]) => [parameters, condition, staged(parameters, condition)])).toEqual(table);
});
