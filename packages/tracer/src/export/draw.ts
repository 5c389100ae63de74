/**
 * Inputs that nobody gave, for recorded calls: elements drawn by a seed, the same in every process. Floats in [-1, 1),
 * whole numbers in 0 to 7, so that they pass as positions and counts.
 */
import { allocate, type DType, type TypedArray } from "@sinter/ir";
import { sizeOf } from "../lazy.ts";

/** How elements are drawn. The later ones are tried where a function refuses the earlier. */
export const drawings = ["plain", "positive", "ones", "zeros"] as const;
export type Drawing = (typeof drawings)[number];

/** Random bits by a seed (mulberry32). */
export class Draw {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  elements(dtype: DType, shape: readonly number[], drawing: Drawing): TypedArray {
    const data = allocate(dtype, sizeOf(shape));
    for (let i = 0; i < data.length; i++) data[i] = this.element(dtype, drawing);
    return data;
  }

  private element(dtype: DType, drawing: Drawing): number {
    if (drawing === "ones" || drawing === "zeros") return drawing === "ones" ? 1 : 0;
    const unit = this.bits() / 2 ** 32;
    if (dtype === "bool") return unit < 0.5 ? 0 : 1;
    if (dtype === "i32" || dtype === "u32") return Math.floor(unit * 8);
    return drawing === "positive" ? unit : unit * 2 - 1;
  }

  private bits(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
}
