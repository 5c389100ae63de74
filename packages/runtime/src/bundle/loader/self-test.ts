/**
 * Replays the calls that were recorded at the export, and compares. A file of its own in a bundle, so it imports nothing
 * what is as small.
 */
import type { DType, TypedArray } from "@sinter/ir/program";
import type { BuildName, Manifest, SelfTestEntry, SizeEntry, TensorEntry, TreeEntry } from "../manifest.ts";
import { readTensors, type StoredTensor } from "../safetensors.ts";
import { arrays } from "./dtypes.ts";
import { fusedIn } from "./engine.ts";
import type { ResultTensor } from "./trees.ts";

export interface SelfTestReport {
  readonly ok: boolean;
  /** `bits`: the same build, rounding as where it was recorded, so that every bit must be the same (all NaNs count as one). */
  readonly rule: "bits" | "tolerance";
  readonly calls: number;
  readonly tensors: number;
  /** The tensor that is furthest away, as a part of its largest magnitude; undefined where all bits are the same. */
  readonly worst: { readonly tensor: string; readonly difference: number; readonly allowed: number } | undefined;
}

/** A program that answers at once, or later. */
export interface Tested {
  readonly functions: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  readonly variables: Readonly<
    Record<string, TensorEntry & { readonly name: string; read(): TypedArray | Promise<TypedArray> }>
  >;
}

export interface SelfTest {
  readonly manifest: Manifest;
  /** What runs. */
  readonly build: BuildName;
  /** With the variables as they are in the bundle. */
  readonly instance: Tested;
  /** The file with the records. */
  readonly bytes: Uint8Array;
  /** The function whose calls are compared. All are made, because they change variables. */
  readonly only: string | undefined;
  readonly fail: (why: string) => never;
}

export async function selfTest({ manifest, build, instance, bytes, only, fail }: SelfTest): Promise<SelfTestReport> {
  const { calls, recorded, tolerance, file } = manifest.selfTest!;
  const names = Object.keys(instance.functions);
  if (only !== undefined && !names.includes(only))
    fail(`selfTest: there is no function ${only}; there are ${names.join(", ")}`);
  let tensors: ReadonlyMap<string, StoredTensor>;
  try {
    tensors = readTensors(bytes, file);
  } catch (error) {
    return fail((error as Error).message);
  }
  /** Sizes that are no numbers are those of the call. */
  const take = (name: string, { dtype, shape }: TensorEntry<SizeEntry>): StoredTensor => {
    const found = tensors.get(name);
    const fits = (size: SizeEntry, axis: number): boolean => typeof size !== "number" || size === found!.shape[axis];
    if (found?.dtype === dtype && found.shape.length === shape.length && shape.every(fits)) return found;
    return fail(`${file}: has no ${JSON.stringify(name)} of type ${dtype}[${shape.join()}]`);
  };
  // Where the bits of a file are, a typed array may not be; a copy is a value of its own.
  const elements = ({ bytes }: StoredTensor, like: TypedArray): TypedArray => {
    const out = like.slice();
    new Uint8Array(out.buffer).set(bytes);
    return out;
  };
  const sameBits = build === recorded.build && fusedIn(build) === recorded.fused;
  const comparison = new Comparison(sameBits, tolerance);
  for (const [n, { function: name }] of calls.entries()) {
    const { params, result } = manifest.functions.find((f) => f.name === name)!;
    const given = (tree: TreeEntry): unknown => {
      if (tree.kind === "tensor") {
        const { dtype } = tree;
        const { bytes, shape } = take(`${n}.arg.${tree.index}`, tree);
        return { dtype, shape, data: new arrays[dtype](bytes.slice().buffer) };
      }
      if (tree.kind === "array") return tree.items.map(given);
      // What is static may be left out.
      return tree.kind === "object"
        ? Object.fromEntries(tree.keys.map((key, i) => [key, given(tree.items[i]!)]))
        : undefined;
    };
    const answer = await instance.functions[name]!(...params.map(({ tree }) => given(tree)));
    if (only !== undefined && only !== name) continue;
    eachResult(result, answer, (index, { data, ...type }) => {
      const at = `${n}.result.${index}`;
      comparison.add(at, type.dtype, elements(take(at, type), data), data);
    });
    for (const { name: variable, ...cell } of Object.values(instance.variables)) {
      const at = `${n}.after.${variable}`;
      const data = await cell.read();
      if (tensors.has(at)) comparison.add(at, cell.dtype, elements(take(at, cell), data), data);
    }
  }
  return comparison.report(calls.filter((call) => only === undefined || call.function === only).length);
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
