/** Replays the calls that were recorded at the export, in an instance of their own. */
import type { DType, TypedArray } from "@sinter/ir/program";
import type { SelfTestEntry, TensorEntry, TreeEntry } from "../manifest.ts";
import { readSafetensors, type StoredTensor } from "../safetensors.ts";
import { sizeOf, viewOf } from "./dtypes.ts";
import { fusedIn } from "./engine.ts";
import { BundleError, messageOf } from "./errors.ts";
import { type Instance, type Parts, start } from "./instance.ts";
import { build, type ResultTensor } from "./trees.ts";

export interface SelfTestReport {
  readonly ok: boolean;
  /** `bits`: the same build, rounding as where it was recorded, so that every bit must be the same (all NaNs count as one). */
  readonly rule: "bits" | "tolerance";
  readonly calls: number;
  readonly tensors: number;
  /** The tensor that is furthest away, as a part of its largest magnitude; undefined where all bits are the same. */
  readonly worst: { readonly tensor: string; readonly difference: number; readonly allowed: number } | undefined;
}

/** `only`: the function whose calls are compared. All are made, because they change variables. */
export async function selfTest(parts: Parts, bytes: Uint8Array, only?: string): Promise<SelfTestReport> {
  const { manifest } = parts;
  const { calls, recorded, tolerance, file } = manifest.selfTest!;
  let stored: ReadonlyMap<string, StoredTensor>;
  try {
    stored = readSafetensors(bytes, file).tensors;
  } catch (error) {
    throw new BundleError(messageOf(error));
  }
  const take = (name: string, { dtype, shape }: TensorEntry): TypedArray => {
    const found = stored.get(name);
    if (found === undefined || found.dtype !== dtype || String(found.shape) !== String(shape))
      throw new BundleError(`${file}: has no ${JSON.stringify(name)} of type ${dtype}[${shape.join()}]`);
    return viewOf(dtype, found.bytes.slice().buffer as ArrayBuffer, 0, sizeOf(shape));
  };
  const own = parts.build.build;
  const sameBits = own === recorded.build && fusedIn(own) === recorded.fused;
  const comparison = new Comparison(sameBits, tolerance);
  const instance = await start({ ...parts, log: () => {} });
  for (const [n, { function: name }] of calls.entries()) {
    const entry = manifest.functions.find((f) => f.name === name)!;
    const args = entry.params.map(({ tree }) => build(tree, ({ index, ...type }) => take(`${n}.arg.${index}`, type)));
    const result = instance.functions[name]!(...args);
    if (only !== undefined && only !== name) continue;
    eachResult(entry.result, result, (index, { data, ...type }) =>
      comparison.add(`${n}.result.${index}`, type.dtype, take(`${n}.result.${index}`, type), data),
    );
    compareVariables(instance, n, stored, take, comparison);
  }
  return comparison.report(only === undefined ? calls.length : calls.filter((call) => call.function === only).length);
}

function compareVariables(
  instance: Instance,
  n: number,
  stored: ReadonlyMap<string, StoredTensor>,
  take: (name: string, type: TensorEntry) => TypedArray,
  comparison: Comparison,
): void {
  for (const variable of Object.values(instance.variables)) {
    const name = `${n}.after.${variable.name}`;
    if (stored.has(name)) comparison.add(name, variable.dtype, take(name, variable), variable.read());
  }
}

function eachResult(tree: TreeEntry, value: unknown, visit: (index: number, tensor: ResultTensor) => void): void {
  if (tree.kind === "tensor") visit(tree.index, value as ResultTensor);
  else if (tree.kind === "array")
    for (const [i, item] of tree.items.entries()) eachResult(item, (value as unknown[])[i], visit);
  else if (tree.kind === "object")
    for (const [i, item] of tree.items.entries())
      eachResult(item, (value as Record<string, unknown>)[tree.keys[i]!], visit);
}

class Comparison {
  private ok = true;
  private tensors = 0;
  private worst: SelfTestReport["worst"];
  private readonly sameBits: boolean;
  private readonly tolerance: SelfTestEntry["tolerance"];

  constructor(sameBits: boolean, tolerance: SelfTestEntry["tolerance"]) {
    this.sameBits = sameBits;
    this.tolerance = tolerance;
  }

  add(tensor: string, dtype: DType, wanted: TypedArray, got: TypedArray): void {
    this.tensors++;
    let different = 0;
    let most = 0;
    let largest = 0;
    for (let i = 0; i < wanted.length; i++) {
      const a = wanted[i]!;
      const b = got[i]!;
      if (Number.isFinite(a)) largest = Math.max(largest, Math.abs(a));
      if (Object.is(a, b)) continue;
      different++;
      // Where only one of them is infinite or no number: further away than anything allowed.
      const away = Math.abs(a - b);
      most = Number.isFinite(away) ? Math.max(most, away) : Infinity;
    }
    if (different === 0) return;
    const float = dtype[0] === "f";
    const difference = float ? (most === 0 ? 0 : most / (largest || 1)) : different / wanted.length;
    const allowed = this.sameBits ? 0 : this.tolerance[dtype];
    if (this.sameBits || difference > allowed) this.ok = false;
    if (this.worst === undefined || difference - allowed > this.worst.difference - this.worst.allowed)
      this.worst = { tensor, difference, allowed };
  }

  report(calls: number): SelfTestReport {
    const { ok, tensors, worst } = this;
    return { ok, rule: this.sameBits ? "bits" : "tolerance", calls, tensors, worst };
  }
}
