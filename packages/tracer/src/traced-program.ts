/** One trace of a function, compiled: what all backends share of it. Calling it does no work per operation. */
import { bytesOf, type DType, type TypedArray, typicalDim } from "@sinter/ir";
import type { Backend } from "@sinter/runtime";
import type { Usage } from "./debug/history.ts";
import { type AnyFunction, SinterError, type Site, site } from "./errors.ts";
import { type Lazy, type Ref, sizeOf } from "./lazy.ts";
import { Sizes } from "./sizes.ts";
import type { Tensor } from "./tensor.ts";
import { checkGuard } from "./transformed.ts";
import { hostDType, type Leaf, type Tree } from "./trees.ts";
import type { Wiring } from "./wiring.ts";

/** A function that is gone no longer needs what it captured. */
const abandoned = new FinalizationRegistry<Lazy[]>(releaseAll);

function releaseAll(held: Lazy[]): void {
  for (const lazy of held.splice(0)) lazy.release();
}

const siteInterval = 64;
const exactSiteBytes = 1 << 20;

export abstract class TracedProgram {
  readonly tree: Tree;
  readonly signature: string;
  readonly wiring: Wiring;
  /** What a call returns, with its tensors by their place in the wiring's `outs`. */
  readonly result: Tree;
  readonly backend: Backend;
  /** For explanations. */
  readonly usage: Usage & { bytes: number } = { calls: 0, bytes: 0, gone: false };
  /** Function and argument by leaf, for errors. */
  protected readonly labels: readonly string[];
  /** What symbolic sizes are in the call at hand; undefined where there are none. */
  protected readonly sizes: Sizes | undefined;
  /** Captured tensors that it keeps alive; emptied when it lets go. */
  private readonly held: Lazy[] = [];
  private readonly resultBytes: number;
  private lastSite: Site | undefined;

  constructor(tree: Tree, signature: string, wiring: Wiring, result: Tree, backend: Backend) {
    this.tree = tree;
    this.signature = signature;
    this.wiring = wiring;
    this.result = result;
    this.backend = backend;
    this.sizes = Sizes.of(tree, wiring);
    const { name, params } = wiring.graph;
    this.labels = params.flatMap((p) => (p.kind === "arg" ? [`${name}: ${p.name}`] : []));
    this.resultBytes = wiring.outTypes.reduce((n, type) => n + typicalDim(sizeOf(type.shape)) * bytesOf(type.dtype), 0);
  }

  /** Of the program and of captured tensors. */
  get bytes(): number {
    return this.usage.bytes;
  }

  /** Keeps captured tensors from now on; `bytes` are the program's. */
  protected hold(bytes: number): void {
    for (const lazy of this.wiring.consts) this.held.push(lazy.retain());
    abandoned.register(this, this.held);
    this.usage.bytes = this.held.reduce((n, lazy) => n + lazy.bytes, bytes);
  }

  /** Tells the cache of programs that this one is in use. */
  protected abstract touch(): void;

  /**
   * The line of this call, for the memory report. Capturing a stack costs more than a small program, so only calls with
   * large results capture each time; others now and then, and count for the line captured last. A call on a GPU costs more
   * than that, and may fail when its line can only be known from here.
   */
  site(self: AnyFunction): Site | undefined {
    const now = this.usage.calls++ % siteInterval === 0;
    if (now) this.touch();
    if (now || this.resultBytes >= exactSiteBytes || this.backend === "webgpu") this.lastSite = site(self);
    return this.lastSite;
  }

  /** Lets go of captured tensors. */
  dispose(): void {
    this.usage.gone = true;
    releaseAll(this.held);
  }

  /** Whether the symbolic sizes have one value each in these leaves; `call` takes them from here. */
  accepts(leaves: readonly Leaf[]): boolean {
    return this.sizes === undefined || this.sizes.bind(leaves);
  }

  /** Runs the program on the leaves of the argument tree. */
  call(leaves: readonly Leaf[], where: Site | undefined): unknown {
    for (const guard of this.wiring.guards) checkGuard(guard);
    const temporary: Lazy[] = [];
    try {
      return this.run(leaves, where, temporary);
    } finally {
      for (const lazy of temporary) lazy.release();
    }
  }

  /** Values made for this call only are appended to `temporary`. */
  protected abstract run(leaves: readonly Leaf[], where: Site | undefined, temporary: Lazy[]): unknown;
}

/** The eager value of an argument. */
export function eagerRef(tensor: Tensor, label: string): Lazy {
  const ref: Ref = tensor.ref(label);
  if (ref.kind === "traced") throw new SinterError(`${label} is a traced tensor, but the call is outside its trace`);
  return ref;
}

/** An argument that is a typed array. */
export function hostLeaf(
  leaf: Exclude<Leaf, Tensor>,
  label: string,
): { readonly dtype: DType; readonly shape: readonly number[]; readonly data: TypedArray } {
  if (!ArrayBuffer.isView(leaf)) throw new SinterError(`${label} must be a tensor, not only its description ${leaf}`);
  return { dtype: hostDType(leaf), shape: [leaf.length], data: leaf as TypedArray };
}
