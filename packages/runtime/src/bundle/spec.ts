/**
 * What a bundle is written from: plain data that whoever traced the functions fills in. Everything is copied by
 * `writeBundle`, which checks that the manifest it makes is one that loads; nothing refers to a tracer.
 */
import type { Dim, DType, Graph, TypedArray } from "@sinter/ir";
import type { Source } from "./manifest.ts";

export interface BundleSpec {
  /** For errors and documentation. */
  readonly name: string;
  /** Version of Sinter. */
  readonly sinter: string;
  /** An SPDX expression or a sentence. */
  readonly license?: string;
  /** At least one, with distinct names that are identifiers; the first is what `run` runs. */
  readonly functions: readonly FunctionSpec[];
  /** All that any function reads or writes, each once, with distinct names. */
  readonly variables: readonly VariableSpec[];
  /** Captured tensors of all functions, each once. */
  readonly constants: readonly ConstantSpec[];
  /** `file`: weights.safetensors beside the program. `embed`: in the program. */
  readonly weights: "file" | "embed";
  /** What it runs on: wasm, unless said. For webgpu the weights are in the file in any case. */
  readonly target?: "wasm" | "webgpu" | "both";
  /** Writes graph/NAME.ir with its data for each function, so that a compiler can go on with them. */
  readonly graphs?: boolean;
  /** Calls made one after the other from the variables' contents above; empty or undefined: no self-test. */
  readonly recorded?: readonly RecordedCall[];
  /** Replaces what `selfTest` allows on engines of another kind; see `SelfTestEntry`. */
  readonly tolerance?: Partial<Readonly<Record<DType, number>>>;
}

export interface FunctionSpec {
  /** An identifier; the name under `program.functions`. */
  readonly name: string;
  /** As traced. Its `arg` parameters are the tensors of `params` by their index, `const` those of `constants`, `state` those of `states`. */
  readonly graph: Graph;
  readonly fastMath?: boolean;
  /** The parameters in order, as the source names them. */
  readonly params: readonly { readonly name: string; readonly tree: SpecTree }[];
  readonly result: SpecTree;
  /** By position among the graph's const parameters: the position in `BundleSpec.constants`. */
  readonly constants: readonly number[];
  /** By position among the graph's state parameters. */
  readonly states: readonly StateSpec[];
  /** By index of the tensor in `result`: `Wiring.outs`. */
  readonly outs: readonly Source[];
  /** The hidden result that says which check failed, and the message of each: `Wiring.checked`. */
  readonly check?: { readonly result: number; readonly messages: readonly string[] };
}

export interface StateSpec {
  /** Position in `BundleSpec.variables`. */
  readonly variable: number;
  /** Position among the graph's state results, or -1. */
  readonly out: number;
  /** Takes over another value instead of one that the program writes. */
  readonly from?: Source;
}

/** As the tracer's trees; static values are what JSON can write, undefined, and all numbers. */
export type SpecTree =
  | {
      readonly kind: "tensor";
      readonly index: number;
      readonly dtype: DType;
      /** Symbolic sizes are those of the graph; the axes of arguments are numbers and symbols. */
      readonly shape: readonly Dim[];
    }
  | { readonly kind: "static"; readonly value: string | number | boolean | null | undefined }
  | { readonly kind: "array"; readonly items: readonly SpecTree[] }
  | { readonly kind: "object"; readonly keys: readonly string[]; readonly items: readonly SpecTree[] };

export interface ConstantSpec {
  /** Unique among variables and constants: the name in the weights file. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}
export interface VariableSpec extends ConstantSpec {
  readonly trainable: boolean;
}

/** One call as the compiled function made it. */
export interface RecordedCall {
  /** Name of the function. */
  readonly function: string;
  /** What its symbolic sizes were; undefined where there are none. */
  readonly sizes?: ReadonlyMap<string, number>;
  /** By index of the tensor in the arguments. */
  readonly args: readonly TypedArray[];
  /** By index of the tensor in the result. */
  readonly results: readonly TypedArray[];
  /** Contents of variables after the call, by position in `BundleSpec.variables`; all that the call changed. */
  readonly after: ReadonlyMap<number, TypedArray>;
}
