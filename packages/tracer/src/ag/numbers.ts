/**
 * Arithmetic and comparison of variables that are numbers until staged control flow makes tensors of them. Plain numbers
 * take the first line of each function: the JavaScript operator.
 */
import { currentFrame } from "../frame.ts";
import { cast, elementwise, run, toArg } from "../kit.ts";
import * as lib from "../lib/elementwise.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { isWeak } from "../weak.ts";
import { handle } from "./leaf.ts";
import { isTensorLike } from "./truth.ts";

type Op = (a: TensorLike, b: TensorLike) => Tensor;

/** Values that an operation on tensors takes; others are JavaScript's to judge. */
function isOperand(value: unknown): value is TensorLike {
  return typeof value === "number" || typeof value === "boolean" || isTensorLike(value);
}

function isNumberLike(value: TensorLike): boolean {
  return typeof value === "number" || typeof value === "boolean" || (value instanceof Tensor && isWeak(value));
}

function isNumberTensor(value: unknown): boolean {
  return value instanceof Tensor && isWeak(value);
}

/** The operation on tensors; undefined where no operand is one, or where one cannot be. */
function staged(op: Op, a: unknown, b: unknown): Tensor | undefined {
  if (!(isTensorLike(a) || isTensorLike(b)) || !isOperand(a) || !isOperand(b)) return undefined;
  const out = op(widened(a, b), widened(b, a));
  return isNumberLike(a) && isNumberLike(b) ? handle(out.ref("a number"), true) : out;
}

/** An integer tensor that meets a whole number beyond i32 becomes f32. */
function widened(value: TensorLike, other: TensorLike): TensorLike {
  if (typeof other !== "number" || !isTensorLike(value)) return value;
  if (Math.abs(other) < 2 ** 31 || value.dtype.startsWith("f")) return value;
  const { dtype } = value;
  return run("cast", () => new Tensor(cast(toArg("cast", dtype, value) as ReturnType<Tensor["ref"]>, "f32")));
}

/** Operators on operands that are no plain numbers: the types below only silence the checker. */
type Plain = number;

export function add(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a + b;
  return staged(lib.add, a, b) ?? (a as Plain) + (b as Plain);
}
export function sub(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return staged(lib.sub, a, b) ?? (a as Plain) - (b as Plain);
}
export function mul(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a * b;
  return staged(lib.mul, a, b) ?? (a as Plain) * (b as Plain);
}
/** Never rounds: integers divide as f32. */
export function div(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a / b;
  return staged(lib.div, a, b) ?? (a as Plain) / (b as Plain);
}
/** With the sign of `a`, as in JavaScript. */
export function mod(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a % b;
  return staged(remainder, a, b) ?? (a as Plain) % (b as Plain);
}
export function pow(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a ** b;
  return staged(lib.pow, a, b) ?? (a as Plain) ** (b as Plain);
}
export function lt(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a < b;
  return staged(lib.lt, a, b) ?? (a as Plain) < (b as Plain);
}
export function le(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a <= b;
  return staged(lib.le, a, b) ?? (a as Plain) <= (b as Plain);
}
export function gt(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a > b;
  return staged(lib.gt, a, b) ?? (a as Plain) > (b as Plain);
}
export function ge(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a >= b;
  return staged(lib.ge, a, b) ?? (a as Plain) >= (b as Plain);
}
/** `===` */
export function eq(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a === b;
  return staged(lib.eq, a, b) ?? a === b;
}
/** `!==` */
export function ne(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a !== b;
  return staged(lib.ne, a, b) ?? a !== b;
}
/** `===` of a value that is a number or a tensor by its type: only numbers that became tensors are compared by value. */
export function same(a: unknown, b: unknown): unknown {
  return isNumberTensor(a) || isNumberTensor(b) ? eq(a, b) : a === b;
}
/** `!==`, likewise. */
export function notSame(a: unknown, b: unknown): unknown {
  return isNumberTensor(a) || isNumberTensor(b) ? ne(a, b) : a !== b;
}
/** `-a` */
export function neg(a: unknown): unknown {
  if (!isTensorLike(a)) return -(a as Plain);
  return like(a, lib.neg(a));
}
/** `+a` */
export function plus(a: unknown): unknown {
  if (!isTensorLike(a)) return +(a as Plain);
  return a.dtype === "bool" ? add(a, 0) : a;
}
/** `a + 1` */
export function inc(a: unknown): unknown {
  return typeof a === "number" ? a + 1 : add(a, 1);
}
/** `a - 1` */
export function dec(a: unknown): unknown {
  return typeof a === "number" ? a - 1 : sub(a, 1);
}

function like(a: unknown, out: Tensor): Tensor {
  return a instanceof Tensor && isWeak(a) && currentFrame().kind === "trace" ? handle(out.ref("a number"), true) : out;
}

function remainder(a: TensorLike, b: TensorLike): Tensor {
  return run("mod", () => new Tensor(elementwise("mod", "rem", [toArg("mod", "a", a), toArg("mod", "b", b)])));
}
