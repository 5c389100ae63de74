/** The loss of a device, as an error that can be told from others. */

/** The device is lost, and what was in its memory with it. */
export class DeviceLoss extends Error {
  override readonly name = "DeviceLoss";
}
