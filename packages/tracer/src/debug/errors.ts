/** Errors of debug builds, of verified calls, and of programs that trap. */
import type { HostTensor } from "@sinter/ir";
import { SinterError } from "../errors.ts";

/** What was found where a debug build failed. Values are copies. */
export interface FailureDetails {
  /** The public function that made the operation, as far as it is known, and the operation. */
  readonly name: string;
  readonly op: string;
  /** Reverse mode made it from what was written at the line. */
  readonly backward: boolean;
  /** Rounds of the loops around it, from the outside in. */
  readonly rounds: readonly number[];
  /** The first element at fault; of an index operand where that is out of range. */
  readonly element: readonly number[];
  readonly operands: readonly HostTensor[];
  readonly results: readonly HostTensor[];
}

/** An operation made NaN or an infinity. Only where `debug: true`. */
export class NonFiniteError extends SinterError {
  override readonly name = "NonFiniteError";
  /** Absent where it could not be found out. */
  readonly details: FailureDetails | undefined;

  constructor(message: string, where: string | undefined, details: FailureDetails | undefined) {
    super(message, where ?? { place: "" });
    this.details = details;
  }
}

/** A position out of data lies outside its axis. Only where `debug: true`; elsewhere it clamps. */
export class BoundsError extends SinterError {
  override readonly name = "BoundsError";
  readonly details: FailureDetails | undefined;

  constructor(message: string, where: string | undefined, details: FailureDetails | undefined) {
    super(message, where ?? { place: "" });
    this.details = details;
  }
}

/** A program stopped inside WebAssembly: a fault of the compiler or the machine, not of the function. */
export class TrapError extends SinterError {
  override readonly name = "TrapError";
  /** The kernel that was running; several where equal ones share code. */
  readonly kernels: readonly string[];
  /** Names of the variables whose values are lost. */
  readonly lost: readonly string[];

  constructor(message: string, details: { readonly kernels: readonly string[]; readonly lost: readonly string[] }) {
    super(message);
    this.kernels = details.kernels;
    this.lost = details.lost;
  }
}

/** The first difference that was found. */
export interface Difference {
  /** `operation`: it gives something else than the reference. `program`: operations are right alone, but not together. */
  readonly kind: "operation" | "program";
  readonly op: string;
  readonly rounds: readonly number[];
  /** The element that is farthest off. */
  readonly element: readonly number[];
  readonly actual: number;
  readonly expected: number;
}

/** A program computed something else than the reference evaluator. Only where `verify: true`. */
export class VerifyError extends SinterError {
  override readonly name = "VerifyError";
  readonly difference: Difference;

  constructor(message: string, where: string | undefined, difference: Difference) {
    super(message, where ?? { place: "" });
    this.difference = difference;
  }
}
