/** Options of functions that slide a window over images. Types only. */

/** "same": as many places as elements, divided by the stride and rounded up. A number, or numbers or pairs by axis: zeros added. */
export type Padding = "same" | "valid" | number | readonly (number | readonly [number, number])[];
/** The order of an image's axes: channels last, or before the spatial axes. N are the images. */
export type Layout = "NWC" | "NCW" | "NHWC" | "NCHW" | "NDHWC" | "NCDHW";

export interface WindowOptions {
  /** Distance between windows: one for all spatial axes, or one for each. 1 unless said; of pools, their window. */
  readonly strides?: number | readonly number[];
  /** "valid" unless said: only windows that lie inside. */
  readonly padding?: Padding;
  /** Distance between the elements of a window. */
  readonly dilation?: number | readonly number[];
  /** Of x and of the result; channels last unless said. */
  readonly layout?: Layout;
}

export interface ConvOptions extends WindowOptions {
  /** Channels and filters fall into that many parts, each filter seeing only the channels of its own. */
  readonly groups?: number;
}

export interface ConvTransposeOptions {
  /** Distance in the result between the windows of neighbouring elements of x. */
  readonly strides?: number | readonly number[];
  /** What is cut off the edges: "valid" nothing, "same" as much as leaves size * stride, numbers as a convolution adds. */
  readonly padding?: Padding;
  readonly dilation?: number | readonly number[];
  readonly layout?: Layout;
}
