/**
 * What transformed sources call, published as `sinter/ag`: control flow that is JavaScript's on plain values, and part
 * of the program on values being traced. Written by the source transform, not by hand.
 */
export { U } from "./arm.ts";
export { and, cond_, if_, none, not, or } from "./branch.ts";
export { bool, exit, ret, throw_ } from "./exits.ts";
export { forOf_ } from "./for-of.ts";
export { doWhile_, for_, while_ } from "./loops.ts";
export { add, dec, div, eq, ge, gt, inc, le, lt, mod, mul, ne, neg, notSame, plus, pow, same, sub } from "./numbers.ts";
export { abi, at, compiled, locs } from "./sites.ts";
export { StagingError } from "./staging-error.ts";
