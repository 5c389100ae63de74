/** Folding what a sliding window sees, and where in it the extreme is. */
import { type DerivativeContext, defineOp, demandsAll, type Emitter, noBounds, type OpDef } from "../define-op.ts";
import { isFloat, roundTo } from "../dtype.ts";
import {
  argWindow,
  dtypeOf,
  filled,
  pad,
  pickWindow,
  range,
  reduceWindow,
  shapeOf,
  spreadWindow,
  type WindowDims,
} from "../emit.ts";
import { tensorType, type Value } from "../graph.ts";
import { combineIdentity, replacesBest } from "../nest/combine.ts";
import type { Dim } from "../nest/expr.ts";
import { staticDim } from "../nest/index-algebra.ts";
import { scalarApply, scalarConst, scalarGuard, scalarIndex } from "../nest/scalar-expr.ts";
import { scalarOps } from "../scalar-ops.ts";
import { eachIndex, element, hostOf, product } from "./host.ts";
import { normalisesZero } from "./reduce.ts";
import { checkName, mapMaybe, tensors } from "./rules.ts";
import { numericDType, plain } from "./sampling.ts";
import {
  along,
  behind,
  checkOn,
  dimsOf,
  elementAt,
  folded,
  inWindow,
  inWindowIndex,
  maps,
  places,
  sampleWindows,
  tiles,
  unfolded,
  windowAttrs,
} from "./window-dims.ts";
import { extentOf } from "./window-maps.ts";

export type ReduceWindowAttrs = WindowDims & { readonly op: "add" | "max" | "min" };
export type ArgWindowAttrs = WindowDims & { readonly op: "max" | "min" };

/** The cotangent of a window sum: each element has those of all windows that it is in. */
function sumTranspose(b: Emitter, ct: Value, attrs: WindowDims, size: readonly Dim[]): Value {
  if (tiles(attrs)) return folded(b, unfolded(b, ct, attrs).value, attrs, size);
  const axes = range(size.length);
  const shape = shapeOf(ct);
  if (shape.includes(0) || size.includes(0)) return filled(b, dtypeOf(ct), size, 0);
  // An axis that windows leave alone may have a symbolic size.
  const still = axes.map(
    (i) => attrs.window[i] === 1 && attrs.strides[i] === 1 && attrs.lo[i] === 0 && attrs.hi[i] === 0,
  );
  const reach = axes.map((i) => extentOf(along(attrs, i)) - 1);
  const lo = axes.map((i) => (still[i] ? 0 : reach[i]! - attrs.lo[i]!));
  const hi = axes.map((i) => {
    if (still[i]) return 0;
    const spread = (staticDim(shape[i]!) - 1) * attrs.strides[i]! + 1;
    return staticDim(size[i]!) + reach[i]! - spread - lo[i]!;
  });
  const interior = attrs.strides.map((stride) => stride - 1);
  const around = pad(b, ct, b.scalar(dtypeOf(ct), 0), lo, hi, interior);
  const [one, none] = [axes.map(() => 1), axes.map(() => 0)];
  return reduceWindow(b, "add", around, { ...attrs, strides: one, lo: none, hi: none });
}

const reduceWindowOp = defineOp<ReduceWindowAttrs>({
  name: "reduceWindow",
  doc: "Folds what a window sees with add, max or min, at each of its places; lo and hi add places outside, which hold nothing, or cut off where negative.",
  attrs: { op: "name", ...windowAttrs },
  groups: [],
  effect: false,
  cost: ({ attrs }) => product(attrs.window),
  type(operands, attrs) {
    const [x] = tensors("reduceWindow", operands, 1);
    checkName("reduceWindow", attrs.op, ["add", "max", "min"]);
    checkOn("reduceWindow", x!, attrs);
    return [tensorType(x!.dtype, places(x!.shape, attrs))];
  },
  eval([x], attrs, [type]) {
    const { op, window } = attrs;
    const float = isFloat(x!.dtype);
    return [
      hostOf(type!, (o) => {
        let total = combineIdentity(op, x!.dtype);
        let seen = 0;
        eachIndex(window, (k) => {
          const at = elementAt(x!.shape, attrs, o, k);
          if (at === undefined) return;
          const next = product(window) === 1 ? element(x!, at) : scalarOps[op].eval(x!.dtype, total, element(x!, at));
          total = float ? next : roundTo(x!.dtype, next);
          seen++;
        });
        return seen > 0 && normalisesZero(op, x!.dtype, window) ? total + 0 : total;
      }),
    ];
  },
  fold: [
    {
      name: "window of one element",
      apply: (_, [x], attrs) =>
        [attrs.window, attrs.strides].every((list) => list.every((n) => n === 1)) &&
        [attrs.lo, attrs.hi].every((list) => list.every((n) => n === 0))
          ? x
          : undefined,
    },
  ],
  derivative: {
    kind: "custom",
    vjp: (b, [ct], ctx) => [mapMaybe(ct, (c) => reduceWindowVjp(b, c, ctx))],
    jvp: (b, [t], ctx) => [mapMaybe(t, (v) => reduceWindowJvp(b, v, ctx))],
  },
  batch: (b, { operands, attrs }) => [reduceWindow(b, attrs.op, operands[0]!, behind(dimsOf(attrs)))],
  nest: {
    kind: "reduce",
    red: ({ attrs }) => attrs.window,
    accumulators({ attrs, operands: [x] }, par, red, read) {
      const { index, guard } = maps(x!.shape, attrs, par, red);
      const value = scalarGuard(guard, read(0, index), scalarConst(x!.dtype, combineIdentity(attrs.op, x!.dtype)));
      return [{ combine: attrs.op, dtype: x!.dtype, values: [value] }];
    },
    value({ attrs, operands: [x] }, acc) {
      const result = acc(0, 0);
      return normalisesZero(attrs.op, x!.dtype, attrs.window)
        ? scalarApply("add", [result, scalarConst(x!.dtype, 0)])
        : result;
    },
  },
  ulp: 1,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const op = rng.pick(["add", "max", "min"] as const);
    const { shape, attrs } = sampleWindows(rng);
    const dtype = numericDType(rng);
    const distinct = op !== "add" && isFloat(dtype) ? { distinct: true } : {};
    return { operands: [plain(dtype, shape, distinct)], attrs: { op, ...attrs } };
  },
});

/** The first of the equal extremes of a window has its derivative. */
function reduceWindowVjp(b: Emitter, ct: Value, { operands, attrs }: DerivativeContext<ReduceWindowAttrs>): Value {
  const x = operands[0]!;
  const dims = dimsOf(attrs);
  if (attrs.op === "add") return sumTranspose(b, ct, dims, shapeOf(x));
  return spreadWindow(b, ct, argWindow(b, attrs.op, x, dims), dims, shapeOf(x));
}
function reduceWindowJvp(b: Emitter, t: Value, { operands, attrs }: DerivativeContext<ReduceWindowAttrs>): Value {
  const dims = dimsOf(attrs);
  if (attrs.op === "add") return reduceWindow(b, "add", t, dims);
  return pickWindow(b, t, argWindow(b, attrs.op, operands[0]!, dims), dims);
}

const argWindowOp = defineOp<ArgWindowAttrs>({
  name: "argWindow",
  doc: "Position (i32, row by row within the window) of the largest or smallest element that a window sees; the first one wins, and NaN wins over numbers.",
  attrs: { op: "name", ...windowAttrs },
  groups: [],
  effect: false,
  cost: ({ attrs }) => 2 * product(attrs.window),
  type(operands, attrs) {
    const [x] = tensors("argWindow", operands, 1);
    checkName("argWindow", attrs.op, ["max", "min"]);
    checkOn("argWindow", x!, attrs);
    return [tensorType("i32", places(x!.shape, attrs))];
  },
  eval: ([x], attrs, [type]) => [
    hostOf(type!, (o) => {
      const fill = combineIdentity(attrs.op, x!.dtype);
      let [best, found] = [fill, 0];
      eachIndex(attrs.window, (k) => {
        const at = elementAt(x!.shape, attrs, o, k);
        const value = at === undefined ? fill : element(x!, at);
        const position = inWindow(attrs.window, k);
        if (position === 0 || replacesBest(attrs.op === "max" ? "argMax" : "argMin", value, best))
          [best, found] = [value, position];
      });
      return found;
    }),
  ],
  fold: [],
  derivative: { kind: "none", reason: "a position is piecewise constant" },
  batch: (b, { operands, attrs }) => [argWindow(b, attrs.op, operands[0]!, behind(dimsOf(attrs)))],
  nest: {
    kind: "reduce",
    red: ({ attrs }) => attrs.window,
    accumulators({ attrs, operands: [x] }, par, red, read) {
      const { index, guard } = maps(x!.shape, attrs, par, red);
      const value = scalarGuard(guard, read(0, index), scalarConst(x!.dtype, combineIdentity(attrs.op, x!.dtype)));
      const position = scalarIndex(inWindowIndex(attrs.window, red));
      return [{ combine: attrs.op === "max" ? "argMax" : "argMin", dtype: x!.dtype, values: [value, position] }];
    },
    value: (_, acc) => acc(0, 1),
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const { shape, attrs } = sampleWindows(rng);
    return { operands: [plain(numericDType(rng), shape)], attrs: { op: rng.pick(["max", "min"] as const), ...attrs } };
  },
});

export const reduceWindowOps: readonly OpDef[] = [reduceWindowOp, argWindowOp];
