/** What functions that slide a window over images share: their options, where the window goes, how images are laid out. */
import type { Dim } from "@sinter/ir";
import { dimText, knownDim } from "./dims.ts";
import { describeValue, ShapeError } from "./errors.ts";
import type { Layout, Padding, WindowOptions } from "./image-options.ts";
import { describe, transpose } from "./kit.ts";
import type { Ref } from "./lazy.ts";

const layouts: readonly (readonly [last: Layout, first: Layout])[] = [
  ["NWC", "NCW"],
  ["NHWC", "NCHW"],
  ["NDHWC", "NCDHW"],
];

/** Images with channels last, and the way back. */
export interface Images {
  readonly ref: Ref;
  back(ref: Ref): Ref;
}

/** The images with their channels last; throws where their rank is not that of `spatial` axes and two more. */
export function imagesOf(caller: string, x: Ref, spatial: number, layout: Layout | undefined): Images {
  const known = layouts[spatial - 1];
  if (known === undefined) throw new ShapeError(`${caller}: x is ${describe(x)}: images have 1, 2 or 3 spatial axes`);
  const [last, first] = known;
  if (layout !== undefined && layout !== last && layout !== first)
    throw new ShapeError(`${caller}: layout must be "${last}" or "${first}", not ${describeValue(layout)}`);
  const rank = spatial + 2;
  if (x.shape.length !== rank) {
    const hint = x.shape.length === rank - 1 ? "; x.expandDims(0) is a single image" : "";
    throw new ShapeError(`${caller}: x is ${describe(x)}, and must have ${rank} axes, ${layout ?? last}${hint}`);
  }
  if (layout !== first) return { ref: x, back: (ref) => ref };
  const axes = Array.from({ length: spatial }, (_, i) => i);
  return {
    ref: transpose(x, [0, ...axes.map((i) => i + 2), 1]),
    back: (ref) => transpose(ref, [0, rank - 1, ...axes.map((i) => i + 1)]),
  };
}

/** One whole number of at least `least` for each of `count` axes. */
export function eachAxis(caller: string, argument: string, value: unknown, count: number, least = 1): number[] {
  const list: unknown = typeof value === "number" ? Array.from({ length: count }, () => value) : value;
  if (!Array.isArray(list) || list.length !== count)
    throw new ShapeError(
      `${caller}: ${argument} must be a number${count > 1 ? ` or ${count} of them` : ""}, not ${describeValue(value)}`,
    );
  return list.map((entry: unknown) => {
    if (typeof entry === "number" && Number.isInteger(entry) && entry >= least) return entry;
    throw new ShapeError(`${caller}: ${argument} must be integers of ${least} or more, not ${describeValue(entry)}`);
  });
}

/** Zeros added before and behind each spatial axis. */
export interface Edges {
  readonly lo: number[];
  readonly hi: number[];
}

/** Explicit padding by axis; undefined for "same" and "valid". */
export function explicitEdges(caller: string, padding: Padding, count: number): Edges | undefined {
  if (padding === "same" || padding === "valid") return undefined;
  const list: readonly unknown[] | undefined =
    typeof padding === "number"
      ? Array.from({ length: count }, () => padding)
      : Array.isArray(padding) && padding.length === count
        ? padding
        : undefined;
  if (list === undefined)
    throw new ShapeError(
      `${caller}: padding must be "same", "valid", a number or one number or pair for each of ${count} axes, not ${describeValue(padding)}`,
    );
  const pairs = list.map((entry) => eachAxis(caller, "padding", entry, 2, 0));
  return { lo: pairs.map((pair) => pair[0]!), hi: pairs.map((pair) => pair[1]!) };
}

/** Where windows go: strides, dilation and zeros at the edges, one entry for each spatial axis. */
export interface Windows extends Edges {
  readonly window: readonly number[];
  readonly strides: number[];
  readonly dilation: number[];
}

/** Windows as asked for on images with channels last; throws where one does not fit its axis. */
export function windowsOn(
  caller: string,
  x: Ref,
  window: readonly number[],
  options: WindowOptions,
  usualStrides: number | readonly number[] = 1,
): Windows {
  const count = window.length;
  const strides = eachAxis(caller, "strides", options.strides ?? usualStrides, count);
  const dilation = eachAxis(caller, "dilation", options.dilation ?? 1, count);
  const padding = options.padding ?? "valid";
  const extents = window.map((size, i) => (size - 1) * dilation[i]! + 1);
  const given = explicitEdges(caller, padding, count);
  if (padding === "same") {
    const totals = extents.map((extent, i) => sameEdges(caller, x, i + 1, extent, strides[i]!));
    const lo = totals.map((total) => Math.floor(total / 2));
    return { window, strides, dilation, lo, hi: totals.map((total, i) => total - lo[i]!) };
  }
  const edges = given ?? { lo: window.map(() => 0), hi: window.map(() => 0) };
  extents.forEach((extent, i) => {
    const size = x.shape[i + 1]!;
    const most = (typeof size === "number" ? size : size.hi) + edges.lo[i]! + edges.hi[i]!;
    if (most < extent)
      throw new ShapeError(
        `${caller}: a window of ${window[i]}${dilation[i]! > 1 ? `, which spans ${extent},` : ""} does not fit the ${dimText(size)} elements of spatial axis ${i} of x, ${describe(x)}${padding === "valid" ? "" : ", padded"}`,
      );
  });
  return { window, strides, dilation, ...edges };
}

/** Zeros along one axis, on both sides together, for as many windows as elements / stride, rounded up. */
function sameEdges(caller: string, x: Ref, axis: number, extent: number, stride: number): number {
  if (stride === 1) return extent - 1;
  const size = knownDim(caller, x.shape[axis]!, `axis ${axis} of x, ${describe(x)}, with padding "same" and strides,`);
  return Math.max((Math.ceil(size / stride) - 1) * stride + extent - size, 0);
}

/** Spatial sizes of a window operand, which are numbers. */
export function windowSizes(caller: string, w: Ref, sizes: readonly Dim[]): number[] {
  return sizes.map((size, i) => {
    const known = knownDim(caller, size, `axis ${i} of w, ${describe(w)},`);
    if (known === 0) throw new ShapeError(`${caller}: axis ${i} of w, ${describe(w)}, has no elements`);
    return known;
  });
}
