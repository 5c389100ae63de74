/** What the engine can do, found by asking it to validate a tiny module, and how it rounds where it may choose. */
import type { BuildName, WasmBuild } from "../manifest.ts";

// (module (func (export "f") (result f32)
//   (f32x4.extract_lane 0 (f32x4.relaxed_madd (splat a) (splat a) (splat c)))))
// with a = 1 + 2^-12 and c = -(1 + 2^-11): 2^-24 where the product is not rounded, else 0.
const madd = [
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 125, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 31, 1, 29, 0],
  ...[67, 0, 8, 128, 63, 253, 19, 67, 0, 8, 128, 63, 253, 19, 67, 0, 16, 128, 191, 253, 19],
  ...[253, 133, 2, 253, 31, 0, 11],
];
/** Features that this engine lacks. One without SIMD refuses to compile the module, and says so. */
export function missing({ features }: WasmBuild): string[] {
  const known = ["simd128", "bulk-memory"];
  if (WebAssembly.validate(Uint8Array.from(madd))) known.push("relaxed-simd");
  return features.filter((name) => !known.includes(name));
}

/** Whether multiply-add rounds once. False where there is none. */
export function fusedIn(build: BuildName): boolean {
  if (build !== "relaxed-simd") return false;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(madd)));
  return (exports["f"] as () => number)() !== 0;
}
