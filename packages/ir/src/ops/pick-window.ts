/** Picking the element at a position in each window, and its transpose, which puts values back: the derivative of a window's maximum. */
import { defineOp, demandsAll, noBounds, type OpDef } from "../define-op.ts";
import { isFloat, roundTo } from "../dtype.ts";
import { dtypeOf, equal, pickWindow, select, shapeOf, spreadWindow, type WindowDims } from "../emit.ts";
import { type TensorType, tensorType } from "../graph.ts";
import { clampedIndex } from "../nest/dyn.ts";
import type { Dim, IndexExpr } from "../nest/expr.ts";
import { addIndex, divIndex, modIndex, scaleIndex, staticDim, subIndex, toIndex } from "../nest/index-algebra.ts";
import { scalarApply, scalarConst, scalarGuard, scalarIndex } from "../nest/scalar-expr.ts";
import { eachIndex, element, hostOf, offsetOf, product } from "./host.ts";
import { describeType, fail, mapMaybe, tensors, withBatch } from "./rules.ts";
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
import { extentOf, type Window, windowCount } from "./window-maps.ts";

/** `size`: the shape that the windows lie on. */
export type SpreadWindowAttrs = WindowDims & { readonly size: readonly Dim[] };

function checkPositions(op: string, y: TensorType, positions: TensorType, shape: readonly Dim[]): void {
  const fits = (type: TensorType): boolean =>
    String(type.shape.map((d) => toIndex(d).key)) === String(shape.map((d) => toIndex(d).key));
  if (positions.dtype !== "i32" || !fits(positions) || !fits(y))
    fail(
      op,
      `${describeType(y)} and ${describeType(positions)} must be a value and an i32 position for each window, ${describeType(tensorType(y.dtype, shape))}`,
    );
}

const pickWindowOp = defineOp<WindowDims>({
  name: "pickWindow",
  doc: "The element of x at a position (i32) in each window; zero where that is outside.",
  attrs: windowAttrs,
  groups: [],
  effect: false,
  cost: () => 2,
  type(operands, attrs) {
    const [x, positions] = tensors("pickWindow", operands, 2);
    checkOn("pickWindow", x!, attrs);
    const result = tensorType(x!.dtype, places(x!.shape, attrs));
    checkPositions("pickWindow", result, positions!, result.shape);
    return [result];
  },
  eval: ([x, positions], attrs, [type]) => [
    hostOf(type!, (o) => {
      let picked = 0;
      eachIndex(attrs.window, (k) => {
        const at = elementAt(x!.shape, attrs, o, k);
        if (at !== undefined && element(positions!, o) === inWindow(attrs.window, k)) picked = element(x!, at);
      });
      return picked;
    }),
  ],
  fold: [],
  derivative: {
    kind: "linear",
    transpose: (b, [ct], { operands, attrs }) => [
      mapMaybe(ct, (c) => spreadWindow(b, c, operands[1]!, attrs, shapeOf(operands[0]!))),
      null,
    ],
  },
  batch: (b, ctx) => [pickWindow(b, withBatch(b, ctx, 0), withBatch(b, ctx, 1), behind(dimsOf(ctx.attrs)))],
  nest: {
    // A read, no sum: a sum that starts from zero would lose the sign of a zero.
    kind: "map",
    value({ attrs, operands: [x] }, o, read) {
      const position = read(1, o);
      const within = clampedIndex(position, product(attrs.window));
      const k = attrs.window.map((size, i) => modIndex(divIndex(within, product(attrs.window.slice(i + 1))), size));
      const { index, guard } = maps(x!.shape, attrs, o, k);
      const zero = scalarConst(x!.dtype, 0);
      const hit = scalarApply("eq", [position, scalarIndex(within)]);
      return scalarApply("select", [hit, scalarGuard(guard, read(0, index), zero), zero]);
    },
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const { shape, attrs } = sampleWindows(rng);
    return { operands: [plain(numericDType(rng), shape), samplePositions(shape, attrs)], attrs };
  },
});

/** Along one axis: which window reaches an element as the j-th from the last that can, and which of its elements that is. */
function reached(size: Dim, window: Window, at: IndexExpr, j: IndexExpr) {
  const from = addIndex(at, window.lo);
  const o = subIndex(divIndex(from, window.stride), j);
  const offset = subIndex(from, scaleIndex(o, window.stride));
  const guard = [
    { index: o, lo: 0, hi: windowCount(size, window) },
    { index: offset, lo: 0, hi: extentOf(window) },
    ...(window.dilation > 1
      ? [{ index: subIndex(offset, scaleIndex(divIndex(offset, window.dilation), window.dilation)), lo: 0, hi: 1 }]
      : []),
  ];
  return { o, k: divIndex(offset, window.dilation), guard };
}

/** How many windows an element can be in. */
const overlap = (attrs: WindowDims, i: number): number => Math.ceil(extentOf(along(attrs, i)) / attrs.strides[i]!);

const spreadWindowOp = defineOp<SpreadWindowAttrs>({
  name: "spreadWindow",
  doc: "The value of each window put at a position (i32) in it, all that meet at one place added: the transpose of pickWindow.",
  attrs: { ...windowAttrs, size: "dims" },
  groups: [],
  effect: false,
  cost: ({ attrs }) => product(attrs.window.map((_, i) => overlap(attrs, i))),
  type(operands, attrs) {
    const [y, positions] = tensors("spreadWindow", operands, 2);
    if (attrs.size.length !== y!.shape.length)
      fail("spreadWindow", `size has ${attrs.size.length} entries for ${describeType(y!)}`);
    checkOn("spreadWindow", y!, attrs);
    checkPositions("spreadWindow", y!, positions!, places(attrs.size, attrs));
    return [tensorType(y!.dtype, attrs.size)];
  },
  eval([y, positions], attrs, [type]) {
    const result = hostOf(type!, () => 0);
    const float = isFloat(y!.dtype);
    const size = attrs.size.map(staticDim);
    eachIndex(y!.shape, (o) => {
      eachIndex(attrs.window, (k) => {
        const at = elementAt(size, attrs, o, k);
        if (at === undefined || element(positions!, o) !== inWindow(attrs.window, k)) return;
        const offset = offsetOf(size, at);
        const sum = result.data[offset]! + element(y!, o);
        result.data[offset] = float ? sum : roundTo(y!.dtype, sum);
      });
    });
    return [result];
  },
  fold: [
    {
      // No sums where windows lie side by side: what is there compares positions, element by element.
      name: "windows that do not overlap",
      apply(b, [y, positions], attrs) {
        if (!tiles(attrs)) return undefined;
        if (attrs.size.some((size, i) => typeof size !== "number" && (attrs.window[i] !== 1 || attrs.lo[i] !== 0)))
          return undefined;
        const { value, within } = unfolded(b, y!, attrs);
        const hit = equal(b, unfolded(b, positions!, attrs).value, within);
        return folded(b, select(b, hit, value, b.scalar(dtypeOf(y!), 0)), attrs, attrs.size);
      },
    },
  ],
  derivative: {
    kind: "linear",
    transpose: (b, [ct], { operands, attrs }) => [
      mapMaybe(ct, (c) => pickWindow(b, c, operands[1]!, dimsOf(attrs))),
      null,
    ],
  },
  batch: (b, ctx) => [
    spreadWindow(b, withBatch(b, ctx, 0), withBatch(b, ctx, 1), behind(dimsOf(ctx.attrs)), [
      ctx.size,
      ...ctx.attrs.size,
    ]),
  ],
  nest: {
    kind: "reduce",
    red: ({ attrs }) => attrs.window.map((_, i) => overlap(attrs, i)),
    accumulators({ attrs, operands: [y] }, par, red, read) {
      const each = attrs.size.map((size, i) => reached(size, along(attrs, i), par[i]!, red[i]!));
      const o = each.map((axis) => axis.o);
      const zero = scalarConst(y!.dtype, 0);
      const within = scalarIndex(
        inWindowIndex(
          attrs.window,
          each.map((axis) => axis.k),
        ),
      );
      const value = scalarApply("select", [scalarApply("eq", [read(1, o), within]), read(0, o), zero]);
      return [
        {
          combine: "add",
          dtype: y!.dtype,
          values: [
            scalarGuard(
              each.flatMap((axis) => axis.guard),
              value,
              zero,
            ),
          ],
        },
      ];
    },
    value: (_, acc) => acc(0, 0),
  },
  ulp: 1,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const { shape, attrs } = sampleWindows(rng);
    const y = plain(numericDType(rng), places(shape, attrs));
    return { operands: [y, samplePositions(shape, attrs)], attrs: { ...attrs, size: shape } };
  },
});

const samplePositions = (shape: readonly number[], attrs: WindowDims) =>
  plain("i32", places(shape, attrs), { lo: 0, hi: product(attrs.window) - 1 });

export const pickWindowOps: readonly OpDef[] = [pickWindowOp, spreadWindowOp];
