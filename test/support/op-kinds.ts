/** Which ops may be compared how: bit for bit, nearly, or only on operands that are exact. */
import type { OpDef } from "@sinter/ir";

/** Ops whose result has the same bits in every backend. */
export const isExact = (op: OpDef): boolean => op.ulp === 0;

/** Ops that turn a last digit into a different number: only exact operands may reach them. */
const jumps = new Set(
  "bitcast floor ceil trunc round sign rem eq ne lt le gt ge argReduce argSort cast fract threefry randomBits".split(
    " ",
  ),
);
export const isSmooth = (op: OpDef): boolean => !jumps.has(op.name);

/** Shows the bits of its operand, and which NaN an operation gives is open. */
export const showsBits = (op: OpDef): boolean => op.name === "bitcast";
