/** Convolutions of images: forward, transposed, in groups. All of them become `conv`, with movement that costs nothing. */
import type { Dim } from "@sinter/ir";
import { dimText, knownDim } from "../dims.ts";
import { checkOptions, describeValue, ShapeError } from "../errors.ts";
import type { ConvOptions, ConvTransposeOptions, Layout, WindowOptions } from "../image-options.ts";
import { eachAxis, explicitEdges, imagesOf, type Windows, windowSizes, windowsOn } from "../images.ts";
import { cast, checkSize, describe, emit, make, promoteArgs, reshape, toRef, transpose } from "../kit.ts";
import type { Ref } from "../lazy.ts";
import type { Tensor, TensorLike } from "../tensor.ts";

const optionNames = ["strides", "padding", "dilation", "groups", "layout"];
const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => i + from);

function operands(caller: string, x: TensorLike, w: TensorLike): [Ref, Ref] {
  const refs = promoteArgs([toRef(caller, "x", x), toRef(caller, "w", w)]);
  return refs.map((r) => (r.dtype === "bool" ? cast(r, "i32") : r)) as [Ref, Ref];
}

function checkFilterRank(caller: string, x: Ref, w: Ref, spatial: number, form: string): void {
  if (w.shape.length !== spatial + 2)
    throw new ShapeError(
      `${caller}: x is ${describe(x)}, w is ${describe(w)}: w must have ${spatial + 2} axes, [${form}]`,
    );
}

/** The operation on x [N, S..., C] and w [K..., C, O]; with `groups`, both have an axis of them before that of channels. */
function convolve(x: Ref, w: Ref, at: Windows, grouped: boolean, xDilation = at.strides.map(() => 1)): Ref {
  const { strides, lo, hi, dilation } = at;
  const attrs = { batch: grouped ? 1 : 0, strides, lo, hi, xDilation, wDilation: dilation };
  if (!grouped) return emit("conv", [x, w], attrs);
  const spatial = strides.length;
  const [xAxes, wAxes] = [range(spatial + 1), range(spatial)];
  const images = transpose(x, [spatial + 1, ...xAxes, spatial + 2]);
  const filters = transpose(w, [spatial, ...wAxes, spatial + 1, spatial + 2]);
  const out = emit("conv", [images, filters], attrs);
  const joined = transpose(out, [...xAxes.map((axis) => axis + 1), 0, spatial + 2]);
  const [groups, each] = joined.shape.slice(-2);
  return reshape(joined, [...joined.shape.slice(0, -2), (groups as number) * (each as number)]);
}

function forward(caller: string, spatial: number, x: TensorLike, w: TensorLike, options: ConvOptions): Ref {
  checkOptions(caller, options, optionNames);
  const [given, filter] = operands(caller, x, w);
  const images = imagesOf(caller, given, spatial, options.layout);
  const { ref } = images;
  checkFilterRank(
    caller,
    given,
    filter,
    spatial,
    `${"HW"
      .slice(2 - spatial)
      .split("")
      .join(", ")}, I, O`,
  );
  const groups = options.groups ?? 1;
  if (checkSize(caller, groups, "groups") < 1) throw new ShapeError(`${caller}: groups must be 1 or more, not 0`);
  const [channels, taken, filters] = [ref.shape.at(-1)!, filter.shape.at(-2)!, filter.shape.at(-1)!];
  const both = `x is ${describe(given)}, w is ${describe(filter)}`;
  const at = windowsOn(caller, ref, windowSizes(caller, filter, filter.shape.slice(0, spatial)), options);
  if (groups === 1) {
    if (channels !== taken)
      throw new ShapeError(
        `${caller}: ${both}: x has ${dimText(channels)} channels, w takes ${dimText(taken)}${channelHint(given, spatial, taken, options.layout)}`,
      );
    return images.back(convolve(ref, filter, at, false));
  }
  const [c, o] = [channels, filters].map((size) => knownDim(caller, size, `with groups, the number of channels`)) as [
    number,
    number,
  ];
  if (c % groups !== 0 || o % groups !== 0 || taken !== c / groups)
    throw new ShapeError(
      `${caller}: ${both}: ${groups} groups must divide the ${c} channels of x and the ${o} filters of w, and w must take ${c / groups} channels`,
    );
  const split = (of: Ref, before: number, sizes: readonly Dim[]): Ref =>
    reshape(of, [...of.shape.slice(0, before), ...sizes]);
  const xs = split(ref, spatial + 1, [groups, c / groups]);
  const ws = transpose(split(filter, spatial + 1, [groups, o / groups]), [
    ...range(spatial),
    spatial + 1,
    spatial,
    spatial + 2,
  ]);
  return images.back(convolve(xs, ws, at, true));
}

/** Images whose channels are where the other layout has them. */
function channelHint(x: Ref, spatial: number, taken: Dim, layout: Layout | undefined): string {
  const other = layout === undefined || layout.endsWith("C") ? x.shape[1] : x.shape.at(-1);
  if (other !== taken) return "";
  const name = ["NCW", "NCHW", "NCDHW"][spatial - 1];
  return layout?.endsWith("C") === false ? "; did you mean channels last?" : `; did you mean layout: "${name}"?`;
}

/** Cross-correlation along one axis: x [N, W, C], w [W, I, O]; the result is [N, W', O]. */
export function conv1d(x: TensorLike, w: TensorLike, options: ConvOptions = {}): Tensor {
  return make("conv1d", conv1d, () => forward("conv1d", 1, x, w, options));
}

/**
 * Cross-correlation of images x [N, H, W, C] with filters w [H, W, I, O], as deep learning means by convolution; the
 * result is [N, H', W', O]. `layout` is that of x and of the result; filters stay as they are. With `groups`, I is C / groups.
 */
export function conv2d(x: TensorLike, w: TensorLike, options: ConvOptions = {}): Tensor {
  return make("conv2d", conv2d, () => forward("conv2d", 2, x, w, options));
}

/** Each channel convolved by itself, with M filters: w [H, W, C, M]. Filter m of channel c makes channel c * M + m. */
export function depthwiseConv2d(x: TensorLike, w: TensorLike, options: WindowOptions = {}): Tensor {
  return make("depthwiseConv2d", depthwiseConv2d, () => {
    const caller = "depthwiseConv2d";
    checkOptions(
      caller,
      options,
      optionNames.filter((name) => name !== "groups"),
    );
    const [given, filter] = operands(caller, x, w);
    const images = imagesOf(caller, given, 2, options.layout);
    const { ref } = images;
    checkFilterRank(caller, given, filter, 2, "H, W, C, M");
    const channels = ref.shape[3]!;
    if (channels !== filter.shape[2])
      throw new ShapeError(
        `${caller}: x is ${describe(given)}, w is ${describe(filter)}: x has ${dimText(channels)} channels, w has ${dimText(filter.shape[2]!)}${channelHint(given, 2, filter.shape[2]!, options.layout)}`,
      );
    const at = windowsOn(caller, ref, windowSizes(caller, filter, filter.shape.slice(0, 2)), options);
    const [h, kw, c, m] = filter.shape as [Dim, Dim, Dim, Dim];
    knownDim(caller, c, `axis 2 of w, ${describe(filter)},`);
    knownDim(caller, m, `axis 3 of w, ${describe(filter)},`);
    const xs = reshape(ref, [...ref.shape, 1]);
    return images.back(convolve(xs, reshape(filter, [h, kw, c, 1, m]), at, true));
  });
}

/**
 * The transpose of a convolution: each element of x [N, H, W, I] adds the window w [H, W, I, O] times itself to the
 * result, `strides` apart. The gradient of conv2d by its images, with I and O of w exchanged. Sizes are
 * (H - 1) * stride + window without padding, H * stride with "same".
 */
export function convTranspose2d(x: TensorLike, w: TensorLike, options: ConvTransposeOptions = {}): Tensor {
  return make("convTranspose2d", convTranspose2d, () => {
    const caller = "convTranspose2d";
    checkOptions(
      caller,
      options,
      optionNames.filter((name) => name !== "groups"),
    );
    const [given, filter] = operands(caller, x, w);
    const images = imagesOf(caller, given, 2, options.layout);
    const { ref } = images;
    checkFilterRank(caller, given, filter, 2, "H, W, I, O");
    if (ref.shape[3] !== filter.shape[2])
      throw new ShapeError(
        `${caller}: x is ${describe(given)}, w is ${describe(filter)}: x has ${dimText(ref.shape[3]!)} channels, w takes ${dimText(filter.shape[2]!)}${channelHint(given, 2, filter.shape[2]!, options.layout)}`,
      );
    const window = windowSizes(caller, filter, filter.shape.slice(0, 2));
    const strides = eachAxis(caller, "strides", options.strides ?? 1, 2);
    const dilation = eachAxis(caller, "dilation", options.dilation ?? 1, 2);
    const padding = options.padding ?? "valid";
    const edges = explicitEdges(caller, padding, 2);
    // From a result of one window to all of it: what remains of a window on each side.
    const at: Windows = { window, strides: [1, 1], dilation, lo: [], hi: [] };
    window.forEach((size, i) => {
      const reach = (size - 1) * dilation[i]!;
      const cut = padding === "same" ? reach + 1 - strides[i]! : 0;
      const before = edges?.lo[i] ?? Math.floor(Math.max(cut, 0) / 2);
      at.lo.push(reach - before);
      at.hi.push(reach - (edges?.hi[i] ?? cut - before));
      const spatial = ref.shape[i + 1]!;
      const left = typeof spatial === "number" ? (spatial - 1) * strides[i]! + at.lo[i]! + at.hi[i]! + 1 - reach : 1;
      if (left < 1 && spatial !== 0)
        throw new ShapeError(
          `${caller}: x is ${describe(given)}, w is ${describe(filter)}: padding ${describeValue(padding)} leaves nothing of spatial axis ${i}`,
        );
    });
    const turned = emit("reverse", [filter], { axes: [0, 1] });
    return images.back(convolve(ref, turned, at, false, strides));
  });
}
