/** The recorded calls of a bundle, as a file and as what the manifest says of it. */
import { probeFeatures } from "@sinter/codegen-wasm";
import { type DType, dimValue } from "@sinter/ir/program";
import { fusedIn } from "./loader/engine.ts";
import type { FileEntry, Manifest } from "./manifest.ts";
import { type NamedTensor, writeSafetensors } from "./safetensors.ts";
import type { BundleSpec, SpecTree } from "./spec.ts";

const selfTestFile = "selftest.safetensors";
/** What other builds may differ by where nothing else is said. */
const usualTolerance: Readonly<Record<DType, number>> = { f32: 1e-4, f64: 1e-10, i32: 0, u32: 0, bool: 0 };

/** Recorded calls were made by the wasm backend of this process. */
export function selfTestOf(
  spec: BundleSpec,
  add: (file: string, bytes: Uint8Array) => FileEntry,
): Pick<Manifest, "selfTest"> {
  const { recorded = [] } = spec;
  if (recorded.length === 0) return {};
  const tensors: NamedTensor[] = [];
  for (const [n, call] of recorded.entries()) {
    const f = spec.functions.find(({ name }) => name === call.function);
    if (f === undefined) throw new Error(`writeBundle: a call was recorded of ${call.function}, which is not exported`);
    const record = (kind: string, trees: readonly SpecTree[], data: (typeof call)["args"]): void =>
      eachTensor(trees, ({ index, dtype, shape }) => {
        const sizes = shape.map((dim) => dimValue(dim, call.sizes ?? new Map()));
        tensors.push({ name: `${n}.${kind}.${index}`, dtype, shape: sizes, data: data[index]! });
      });
    record(
      "arg",
      f.params.map(({ tree }) => tree),
      call.args,
    );
    record("result", [f.result], call.results);
    for (const [position, data] of call.after) {
      const { name, dtype, shape } = spec.variables[position]!;
      tensors.push({ name: `${n}.after.${name}`, dtype, shape, data });
    }
  }
  const build = probeFeatures().relaxedSimd ? "relaxed-simd" : "simd";
  return {
    selfTest: {
      ...add(selfTestFile, writeSafetensors(tensors)),
      calls: recorded.map((call) => ({ function: call.function })),
      recorded: { build, fused: fusedIn(build) },
      tolerance: { ...usualTolerance, ...spec.tolerance },
    },
  };
}

function eachTensor(trees: readonly SpecTree[], visit: (tensor: Extract<SpecTree, { kind: "tensor" }>) => void): void {
  for (const tree of trees)
    if (tree.kind === "tensor") visit(tree);
    else if (tree.kind === "array" || tree.kind === "object") eachTensor(tree.items, visit);
}
