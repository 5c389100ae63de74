/** Some held-out digits with what the trained networks take them for. */
import { type Digits, pixels } from "../digits/sets.ts";
import { element } from "./card.ts";

const shown = 24;
const side = 28;

/** `readings`: of each network, by image. Where they differ, both are written. */
export function showSamples(place: HTMLElement, digits: Digits, readings: readonly Int32Array[]): void {
  place.replaceChildren();
  for (let i = 0; i < Math.min(shown, digits.count); i++) {
    const found = [...new Set(readings.map((one) => one[i]!))];
    const isRight = found.length === 1 && found[0] === digits.labels[i];
    const figure = element("figure", { className: isRight ? "right" : "wrong" });
    const text = isRight ? `${found[0]}` : `${found.join("/")}, not ${digits.labels[i]}`;
    figure.append(picture(digits.images.subarray(i * pixels, (i + 1) * pixels)), element("figcaption", {}, text));
    place.append(figure);
  }
}

/** Dark strokes on white. */
function picture(image: Float32Array): HTMLCanvasElement {
  const canvas = element("canvas", { width: side, height: side });
  const context = canvas.getContext("2d")!;
  const data = context.createImageData(side, side);
  for (let i = 0; i < pixels; i++) {
    data.data.fill(255 - Math.round(image[i]! * 255), i * 4, i * 4 + 3);
    data.data[i * 4 + 3] = 255;
  }
  context.putImageData(data, 0, 0);
  return canvas;
}
