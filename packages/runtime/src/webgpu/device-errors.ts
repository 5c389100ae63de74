/** Errors of a device that those who meet them tell apart. */

/** The device is lost, and what was in its memory with it. */
export class DeviceLoss extends Error {
  override readonly name = "DeviceLoss";
}

/** The device has no memory left for a buffer. */
export class DeviceMemoryError extends Error {
  override readonly name = "DeviceMemoryError";
  /** What was asked for. */
  readonly bytes: number;
  /** What was in use. */
  readonly liveBytes: number;
  /** What one buffer may have. */
  readonly maximumBytes: number;

  constructor(of: { readonly bytes: number; readonly liveBytes: number; readonly maximumBytes: number }) {
    super(
      `webgpu: the device is out of memory: there is no room for ${of.bytes} bytes beside the ${of.liveBytes} in use`,
    );
    this.bytes = of.bytes;
    this.liveBytes = of.liveBytes;
    this.maximumBytes = of.maximumBytes;
  }
}
