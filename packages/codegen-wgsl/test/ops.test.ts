// Every scalar op and machine op, one lane and four, against the interpreter's tables on special and random values.
import {
  allocate,
  evalLoopOp,
  isMachineOp,
  isScalarOp,
  type LoopExpr,
  type LoopOp,
  loop,
  loopOpArity,
  loopOpScalar,
  machineOpNames,
  scalarOpNames,
  scalarOps,
  type TypedArray,
} from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { fullRun } from "../../../test/support/fuzz.ts";
import { gridFunc, runGrids, testDevice } from "./support/run-grids.ts";

const device = await testDevice();

type Word = "f32" | "i32" | "u32" | "bool";
const dtypes: readonly Word[] = ["f32", "i32", "u32", "bool"];
const specials: Record<Word, readonly number[]> = {
  f32: [0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, 3.4e38, -3.4e38, 16777217, 1e10, Infinity, -Infinity, NaN],
  i32: [0, 1, -1, 2, -2, 3, 7, 31, 32, 33, 255, 65536, 2147483647, -2147483648, -2147483647],
  u32: [0, 1, 2, 3, 7, 31, 32, 33, 255, 65536, 2147483647, 2147483648, 4294967294, 4294967295],
  bool: [0, 1],
};

let seed = 12345;
const random = (): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;

function randomValue(d: Word): number {
  if (d === "bool") return random() < 0.5 ? 0 : 1;
  if (d === "i32") return random() < 0.5 ? Math.floor(random() * 200 - 100) : (random() * 2 ** 32) | 0;
  if (d === "u32") return random() < 0.5 ? Math.floor(random() * 200) : (random() * 2 ** 32) >>> 0;
  // Also large arguments, which sines reduce in another way.
  return Math.fround((random() * 8 - 4) * (random() < 0.2 ? 10 ** (random() * 30) : 1));
}

/** Combinations of special values, then random ones. */
function operands(types: readonly Word[]): TypedArray[] {
  let rows: number[][] = [[]];
  for (const t of types) rows = rows.flatMap((row) => specials[t].map((v) => [...row, v]));
  if (rows.length > 400) rows = rows.filter((_, i) => i % Math.ceil(rows.length / 400) === 0);
  for (let i = 0; i < 120; i++) rows.push(types.map(randomValue));
  while (rows.length % 4 !== 0) rows.push(rows[0]!);
  return types.map((t, column) => {
    const array = allocate(t, rows.length);
    for (const [i, row] of rows.entries()) array[i] = row[column]!;
    return array;
  });
}

interface Case {
  readonly name: string;
  readonly op: LoopOp;
  readonly result: Word;
  readonly make: (args: readonly LoopExpr[]) => LoopExpr;
}

/** The ops that take operands of these types. */
function casesOf(types: readonly Word[]): Case[] {
  const out: Case[] = [];
  for (const op of [...scalarOpNames, ...machineOpNames]) {
    if (loopOpArity(op) !== types.length) continue;
    if (op === "cast" || op === "bitcast") {
      for (const to of dtypes) {
        const allowed = op === "cast" || ((to === "bool") === (types[0] === "bool") && to !== "bool");
        if (to === types[0] || !allowed) continue;
        const make = ([x]: readonly LoopExpr[]): LoopExpr => (op === "cast" ? loop.cast(x!, to) : loop.bitcast(x!, to));
        out.push({ name: `${op} to ${to}`, op, result: to, make });
      }
      continue;
    }
    const result = loopOpScalar(op, types) as Word | undefined;
    if (result !== undefined) out.push({ name: op, op, result, make: (args) => loop.op(op, ...args) });
  }
  return out;
}

const view = new DataView(new ArrayBuffer(4));
const bits = (x: number): number => {
  view.setFloat32(0, x);
  return view.getUint32(0);
};
const fromBits = (x: number): number => {
  view.setUint32(0, x);
  return view.getFloat32(0);
};
/** Devices may replace subnormal numbers by 0, and need not keep its sign then. */
const flushed = (x: number): number => (Math.abs(x) < 2 ** -126 ? 0 : x);
const ordered = (x: number): number => ((x & 0x80000000) !== 0 ? 0x80000000 - x : x);

/** Distance of two f32 in units in the last place. */
function ulps(a: number, b: number): number {
  if (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  if (Number.isNaN(a) || Number.isNaN(b)) return Infinity;
  return Math.abs(ordered(bits(flushed(a))) - ordered(bits(flushed(b))));
}

/** The accuracy of WGSL's own division and root. */
const divides: Partial<Record<LoopOp, number>> = { div: 3, reciprocal: 3, sqrt: 3, rsqrt: 5 };

function allowed(op: LoopOp): number {
  // Integers are rounded to one of the two nearest.
  if (op === "cast") return 1;
  if (isMachineOp(op) || !isScalarOp(op)) return 0;
  return scalarOps[op].ulp >= 4 ? 6 : (divides[op] ?? scalarOps[op].ulp);
}

/** Rounding once or twice are both right, and an intermediate overflow makes a difference: the nearer. */
function fmaExpected([x, y, z]: readonly number[], actual: number): number {
  const twice = Math.fround(Math.fround(x! * y!) + z!);
  return Object.is(actual, twice) ? twice : Math.fround(x! * y! + z!);
}

/** Functions of four lanes are those of one, and take drivers long to compile: some stand for all. */
const isMath = (op: LoopOp): boolean => isScalarOp(op) && scalarOps[op].ulp >= 4;
const someMath: readonly LoopOp[] = ["exp", "sin", "tan", "pow"];

async function check(types: readonly Word[], lanes: number): Promise<void> {
  const isTried = ({ op }: Case): boolean => fullRun || lanes === 1 || !isMath(op) || someMath.includes(op);
  const cases = casesOf(types).filter(isTried);
  const inputs = operands(types);
  const n = inputs[0]!.length;
  const names = types.map((t, i) => [`x${i}`, t] as const);
  const out = new Uint32Array(n * cases.length);
  const func = gridFunc("ops", [...names, ["out", "u32"]], (f, pointers, group) => {
    const i = f.let("i", loop.mul(group, loop.i32(lanes)));
    const args = types.map((_, k) => f.let("x", loop.load(pointers[k]!, i, lanes)));
    for (const [k, { op, make, result }] of cases.entries()) {
      const safe = op === "divU" || op === "remU" ? [args[0]!, orThree(args[1]!)] : args;
      const value = make(safe);
      const word = result === "bool" ? loop.cast(value, "u32") : loop.bitcast(value, "u32");
      f.store(pointers.at(-1)!, loop.add(i, loop.i32(k * n)), word);
    }
  });
  await runGrids(device!, [func], [{ func: "ops", groups: n / lanes, threads: 1 }], [...inputs, out]);
  const problems: string[] = [];
  for (const [k, { name, op, result }] of cases.entries())
    for (let i = 0; i < n; i++) {
      const word = out[k * n + i]!;
      const got = result === "f32" ? fromBits(word) : result === "i32" ? word | 0 : word;
      const args = inputs.map((a) => a[i]!);
      if ((op === "divU" || op === "remU") && args[1] === 0) args[1] = 3;
      let want = Number(evalLoopOp(op, types, result, args));
      if (op === "fma") want = fmaExpected(args, got);
      // Beyond 2^126 a reciprocal may be flushed on the way.
      const huge = (op === "div" || op === "reciprocal") && Math.abs(args.at(-1)!) > 2 ** 126;
      const wrong = result === "f32" ? ulps(got, want) > allowed(op) && !(huge && got === 0) : got !== want;
      if (wrong) problems.push(`${name}(${args}) = ${got}, expected ${want}`);
    }
  expect(problems.slice(0, 12)).toEqual([]);
}

/** The value, or 3 where it is 0. */
function orThree(x: LoopExpr): LoopExpr {
  const like = (value: number): LoopExpr => loop.constant(x.type.scalar, value, x.type.lanes);
  return loop.select(loop.eq(x, like(0)), like(3), x);
}

const signatures: readonly (readonly Word[])[] = dtypes.flatMap((t) => [
  [t],
  [t, t],
  ["bool", t, t],
  ...(t === "f32" ? [[t, t, t]] : []),
]);

describe.skipIf(device === undefined).each([1, 4])("%i lanes", (lanes) => {
  test.each(signatures.map((s) => [s.join(", "), s] as const))("%s", (_, types) => check(types, lanes));
});
