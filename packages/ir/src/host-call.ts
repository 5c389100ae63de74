/**
 * Calls that a program makes to whoever runs it: what is printed, and functions of the user's. They happen in the order of
 * a status (i32) that goes through all of them: 0 while all is well. What comes after a failure is not done.
 */
import { allocate, type DType, type TypedArray } from "./dtype.ts";

export interface HostType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** `operands` and `results` name all that is handed over, in order; the first of each is the status. */
export type HostCall =
  | {
      readonly kind: "print";
      /** The text around the values: one piece more than there are values. */
      readonly format: readonly string[];
      readonly operands: readonly HostType[];
      readonly results: readonly HostType[];
    }
  | {
      readonly kind: "call";
      /** Which function: a number that whoever traced the program knows. */
      readonly id: number;
      readonly operands: readonly HostType[];
      readonly results: readonly HostType[];
    };

/** A value handed over. */
export interface HostValue extends HostType {
  readonly data: TypedArray;
}

/**
 * Does what a call asks for, given its operands without the status. Gives the results without the status, or another
 * status than 0 where it failed.
 */
export type HostFunction = (call: HostCall, values: readonly HostValue[]) => readonly HostValue[] | number;

/** All results of a call on all its operands. Where something failed they are zeros. */
export function answerCall(
  call: HostCall,
  operands: readonly HostValue[],
  host: HostFunction | undefined,
): readonly HostValue[] {
  let status = operands[0]!.data[0]!;
  if (status === 0 && (host !== undefined || call.kind === "call")) {
    if (host === undefined) throw new Error("a program with host calls was run without anybody to answer them");
    const given = host(call, operands.slice(1));
    if (typeof given !== "number") return [{ dtype: "i32", shape: [], data: Int32Array.of(0) }, ...given];
    status = given;
  }
  return call.results.map(({ dtype, shape }, i) => {
    const data = allocate(
      dtype,
      shape.reduce((n, d) => n * d, 1),
    );
    return { dtype, shape, data: i === 0 ? data.fill(status) : data };
  });
}

/** `print "loss {}"` or `call 3`: what is called, for dumps. */
export function hostCallText(call: HostCall): string {
  return call.kind === "print" ? `print ${JSON.stringify(call.format.join("{}"))}` : `call ${call.id}`;
}
