/** Pooling: what a window sees of each channel, folded to one value. */
import { checkOptions, ShapeError } from "../errors.ts";
import type { WindowOptions } from "../image-options.ts";
import { eachAxis, imagesOf, type Windows, windowsOn } from "../images.ts";
import { describe, div, emit, filled, like, make, toFloat, toRef } from "../kit.ts";
import type { Ref } from "../lazy.ts";
import type { Tensor, TensorLike } from "../tensor.ts";

/** Windows on all axes but the first and the last. */
function fold(op: "add" | "max", x: Ref, { window, strides, lo, hi, dilation }: Windows): Ref {
  const around = (list: readonly number[], value: number): number[] => [value, ...list, value];
  return emit("reduceWindow", [x], {
    op,
    window: around(window, 1),
    strides: around(strides, 1),
    lo: around(lo, 0),
    hi: around(hi, 0),
    dilation: around(dilation, 1),
  });
}

function pool(
  caller: string,
  given: Ref,
  window: number | readonly number[],
  options: WindowOptions,
  body: (x: Ref, at: Windows) => Ref,
): Ref {
  checkOptions(caller, options, ["strides", "padding", "dilation", "layout"]);
  if (given.dtype === "bool") throw new ShapeError(`${caller}: x is ${describe(given)}: pools take numbers`);
  const spatial = given.shape.length - 2;
  const images = imagesOf(caller, given, spatial, options.layout);
  const sizes = eachAxis(caller, "window", window, spatial);
  const at = windowsOn(caller, images.ref, sizes, options, sizes);
  sizes.forEach((size, i) => {
    const most = Math.max(at.lo[i]!, at.hi[i]!);
    if (most > 0 && most > (size - 1) * at.dilation[i]!)
      throw new ShapeError(`${caller}: padding of ${most} leaves a window of ${size} nothing of x, ${describe(given)}`);
  });
  return images.back(body(images.ref, at));
}

/**
 * The largest element of each window, channel by channel: x is [N, H, W, C], or has 1 or 3 spatial axes. Windows lie side
 * by side unless `strides` says otherwise; padding counts for nothing. The first of equal elements gets the gradient.
 */
export function maxPool(x: TensorLike, window: number | readonly number[], options: WindowOptions = {}): Tensor {
  return make("maxPool", maxPool, () =>
    pool("maxPool", toRef("maxPool", "x", x), window, options, (ref, at) => fold("max", ref, at)),
  );
}

/** The mean of each window, channel by channel, as maxPool; elements outside count neither as zeros nor in the number. */
export function avgPool(x: TensorLike, window: number | readonly number[], options: WindowOptions = {}): Tensor {
  return make("avgPool", avgPool, () =>
    pool("avgPool", toFloat(toRef("avgPool", "x", x)), window, options, (ref, at) => {
      const total = fold("add", ref, at);
      const inside = [...at.lo, ...at.hi].every((n) => n === 0);
      if (inside)
        return div(
          total,
          like(
            ref,
            at.window.reduce((n, size) => n * size, 1),
          ),
        );
      // How many elements each window sees is the same for all images and channels.
      const spatial = ref.shape.slice(1, -1);
      const counts = fold("add", filled(like(ref, 1), [1, ...spatial, 1]), at);
      const flat = emit("reshape", [counts], { shape: counts.shape.slice(1, -1) });
      const dims = spatial.map((_, i) => i + 1);
      return div(total, emit("broadcast", [flat], { shape: total.shape, dims }));
    }),
  );
}
