// The application that the tests of the ways in build and run: several files, ordinary control flow on plain values and
// on tensors, and errors at known places. Its output is that of the same program in plain JavaScript.

/** Relative imports are written both as .ts and, as TypeScript also allows, as .js. */
export const appFiles: Readonly<Record<string, string>> = {
  "src/kinds.ts": `export enum Kind {
  Plain,
  Loud,
}
`,
  "src/model.ts": `import { tensor, type Tensor } from "sinter";
import { Kind } from "./kinds.js";

// What a condition of unknown type is, is decided at run time.
const isOne = (n: number): any => n === 1;

export function collatz(start: number): number {
  let n = start;
  let steps = 0;
  while (!isOne(n)) {
    if (n % 2 === 0) n = n / 2;
    else n = 3 * n + 1;
    steps++;
    if (steps > 1000) break;
  }
  return steps;
}

export function describe(x: Tensor, kind: Kind = Kind.Plain): string {
  const text = x.dataSync().join(" ");
  return kind === Kind.Loud ? text + "!" : text;
}

export function fail(why: any): never {
  if (why) {
    const shown = String(why);
    throw new Error(shown);
  }
  throw new Error("for no reason");
}

export const ones: Tensor = tensor([1, 1]);
`,
  "src/main.ts": `import { Kind } from "./kinds.ts";
import { collatz, describe, ones } from "./model.ts";

console.log([1, 7, 27].map((n) => collatz(n)).join(" "), describe(ones.add(1), Kind.Loud));
`,
  "src/throws.ts": `import { fail } from "./model.ts";

function outer(): void {
  fail("on purpose");
}
outer();
`,
};

export const expectedOutput = "0 16 111 2 2!\n";

/** The first frames of the error that src/throws.ts ends with. */
export const thrownAt: readonly string[] = ["src/model.ts:27:11", "src/throws.ts:4:3", "src/throws.ts:6:1"];

/** A file that the transform refuses: error AG1007 on line 3. */
export const withSwitch = `import type { Tensor } from "sinter";
export function f(x: Tensor): number {
  switch (x) {
    default:
      return 1;
  }
}
`;
