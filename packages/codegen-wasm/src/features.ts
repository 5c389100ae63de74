/** What this machine's WebAssembly engine can do, found by asking it to validate tiny modules. */
import type { WasmFeatures } from "@sinter/ir/program";

// (module (func (result v128) (f32x4.relaxed_madd (v128.const 0) (v128.const 0) (v128.const 0)))), the three constants
// written as i32.const 0, i8x16.splat.
const relaxedMadd = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b],
  ...[0x03, 0x02, 0x01, 0x00],
  ...[0x0a, 0x13, 0x01, 0x11, 0x00],
  ...[0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f],
  ...[0xfd, 0x85, 0x02, 0x0b],
);

let probed: WasmFeatures | undefined;

/** The features of the engine that runs this code. */
export function probeFeatures(): WasmFeatures {
  probed ??= { relaxedSimd: WebAssembly.validate(relaxedMadd) };
  return probed;
}
