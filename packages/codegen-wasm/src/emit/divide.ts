/** Division and remainder of one lane: integers never trap, and floats follow C's fmod. */
import type { Code } from "../asm.ts";
import type { FuncContext, Lower } from "./context.ts";

/** x / y rounding towards zero; x / 0 is 0, and the least integer over -1 wraps. */
export function divide(signed: boolean): Lower {
  const op = signed ? "DivSInt32" : "DivUInt32";
  return (c, [a, b], exprs) => {
    if (plainDivisor(exprs[1])) return c.op(op, a!, b!);
    const [x, y] = [c.temp(a!, "i32"), c.temp(b!, "i32")];
    if (!signed) return c.asm.select(y(), c.op(op, x(), safe(c, y, false)), c.asm.i32(0));
    const minusOne = c.op("EqInt32", y(), c.asm.i32(-1));
    const quotient = c.asm.select(minusOne, c.op("SubInt32", c.asm.i32(0), x()), c.op(op, x(), safe(c, y, true)));
    return c.asm.select(y(), quotient, c.asm.i32(0));
  };
}

/** x mod y with the sign of x; x mod 0 is 0. */
export function remainder(signed: boolean): Lower {
  const op = signed ? "RemSInt32" : "RemUInt32";
  return (c, [a, b], exprs) => {
    if (plainDivisor(exprs[1])) return c.op(op, a!, b!);
    const [x, y] = [c.temp(a!, "i32"), c.temp(b!, "i32")];
    return c.asm.select(y(), c.op(op, x(), safe(c, y, signed)), c.asm.i32(0));
  };
}

/** Whether a divisor is a constant that needs no care. */
function plainDivisor(e: Parameters<Lower>[2][number] | undefined): boolean {
  return e?.kind === "const" && e.value !== 0 && e.value !== -1;
}

/** The divisor, or another where dividing would trap: for 0, and for -1 whose quotient may not fit. */
function safe(c: FuncContext, y: () => Code, signed: boolean): Code {
  if (!signed) return c.op("OrInt32", y(), c.asm.unary("EqZInt32", y()));
  const near = c.op("LeUInt32", c.op("AddInt32", y(), c.asm.i32(1)), c.asm.i32(1));
  return c.asm.select(near, c.asm.i32(1), y());
}

/**
 * x - y * trunc(x / y), exact: doubles |y| up to |x|, then subtracts on the way down. Every step is exact, also for
 * subnormals; a quotient near 1 takes one round. f32 goes through f64, where the result is the same.
 */
export function floatRemainder(type: "f32" | "f64"): Lower {
  return (c, [a, b]) => {
    const { asm } = c;
    const wide = (code: Code): Code => (type === "f32" ? asm.unary("PromoteFloat32", code) : code);
    const [x, y] = [c.temp(wide(a!), "f64"), c.temp(wide(b!), "f64")];
    const rest = c.local("f64");
    const scaled = c.local("f64");
    const step = c.local("f64");
    const get = (local: number): Code => asm.get(local, "f64");
    c.list.push(asm.set(rest, asm.unary("AbsFloat64", x())), asm.set(step, asm.unary("AbsFloat64", y())));
    c.list.push(asm.set(scaled, get(step)));
    // Not a number where x is not finite, y is 0, or one of them is not a number.
    const valid = c.op(
      "AndInt32",
      c.op("LtFloat64", get(rest), asm.f64(Infinity)),
      c.op("GtFloat64", get(step), asm.f64(0)),
    );
    const half = c.op("MulFloat64", get(rest), asm.f64(0.5));
    const up = asm.whileDo([], c.op("LeFloat64", get(scaled), half), [
      asm.set(scaled, c.op("AddFloat64", get(scaled), get(scaled))),
    ]);
    const subtract = asm.if(c.op("GeFloat64", get(rest), get(scaled)), [
      asm.set(rest, c.op("SubFloat64", get(rest), get(scaled))),
    ]);
    const down = asm.whileDo([], c.op("GeFloat64", get(scaled), get(step)), [
      subtract,
      asm.set(scaled, c.op("MulFloat64", get(scaled), asm.f64(0.5))),
    ]);
    c.list.push(
      asm.if(
        valid,
        [asm.if(c.op("LtFloat64", get(step), asm.f64(Infinity)), [up, down])],
        [asm.set(rest, asm.f64(Number.NaN))],
      ),
    );
    const result = c.op("CopySignFloat64", get(rest), x());
    return type === "f32" ? asm.unary("DemoteFloat64", result) : result;
  };
}
