/** How `compile` makes a function. */
import type { Backend, Precision } from "@sinter/runtime";
import type { Spec } from "./spec.ts";

export interface FunctionOptions {
  /** For dumps and errors; the function's own name by default. */
  readonly name?: string;
  /** What each argument must be. Numbers and arrays given for them become tensors of the dtype. */
  readonly signature?: readonly Spec[];
  /** Default: what `setBackend` chose. */
  readonly backend?: Backend;
  /** Allows rewrites that can change a float result. */
  readonly fastMath?: boolean;
  /**
   * "f16": where a GPU has f16, matrix products and convolutions round their operands to it (values from 65520 on become
   * infinite) and sum in f32. Default: "f32", which is also what it means everywhere else.
   */
  readonly precision?: Precision;
  /** false: the function's branches are meant as they are, on what is no tensor. */
  readonly autograph?: boolean;
  /** Traces after which one warning says why it keeps tracing; 8 unless said. */
  readonly retraceLimit?: number;
  /** Traces sizes that differ between two calls as symbolic ones, so that one program takes all that follow. */
  readonly reduceRetracing?: boolean;
  /** Makes any trace after the first an error. */
  readonly frozen?: boolean;
  /**
   * Looks for the first operation that makes NaN or an infinity and for indices out of range, in every call: such a call
   * throws and changes nothing. Slow. A function called inside makes the whole program so, and the gradient or batch of
   * one that is taken outside compiled functions. SINTER_DEBUG=1 is the default of all functions.
   */
  readonly debug?: boolean;
  /** Compares every call with the reference evaluator, operation by operation. Very slow. SINTER_VERIFY=1 as above. */
  readonly verify?: boolean;
}

export const optionNames: readonly string[] = [
  "name",
  "signature",
  "backend",
  "fastMath",
  "precision",
  "autograph",
  "reduceRetracing",
  "retraceLimit",
  "frozen",
  "debug",
  "verify",
] satisfies readonly (keyof FunctionOptions)[];
