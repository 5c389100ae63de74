/**
 * `compile`: wraps a function so that it is traced once per signature and runs as one program. Signatures, traces and
 * their explanation; running is `concrete.ts`.
 */
import type { Loc } from "@sinter/ir";
import { type Backend, ByteCache, type CompileOptions, type Precision } from "@sinter/runtime";
import { checkBackend, currentBackend } from "./backend.ts";
import { Concrete } from "./concrete.ts";
import { GpuConcrete } from "./concrete-gpu.ts";
import { TraceHistory } from "./debug/history.ts";
import { OpenSizesError } from "./debug/open-sizes.ts";
import { type Checking, checking, either } from "./debug/settings.ts";
import { isEagerMode } from "./eager-mode.ts";
import {
  type AnyFunction,
  checkOptions,
  describe,
  describeValue,
  ShapeError,
  SinterError,
  type Site,
  site as siteOf,
  TraceError,
  userLine,
} from "./errors.ts";
import { currentTrace } from "./frame.ts";
import { type FunctionOptions, optionNames } from "./function-options.ts";
import { byShapes, bySignature } from "./generalise.ts";
import { tensor } from "./lib/create.ts";
import { Lowered } from "./lowered.ts";
import { explained } from "./memory.ts";
import { Spec, type SpecSize, sizeText } from "./spec.ts";
import { Tensor, type TensorLike } from "./tensor.ts";
import { parameterNames, pathName, type TraceResult, traceFunction, type UserFunction } from "./trace.ts";
import type { TracedProgram } from "./traced-program.ts";
import {
  checkTraceable,
  guardOf,
  refuseBranches,
  type SourceKind,
  settleGuard,
  sourceKind,
  type TransformedSite,
} from "./transformed.ts";
import { handlesIn, isStaticAt, type Leaf, matches, specsOf, type Tree, treeOf, treeText } from "./trees.ts";
import type { Wiring } from "./wiring.ts";

export type { FunctionOptions } from "./function-options.ts";

/** A function that runs as a compiled program. */
export interface CompiledFunction<A extends readonly unknown[], R> {
  (...args: A): R;
  /** How often the function has been traced. */
  readonly traces: number;
  /** The signatures traced so far, and for each what differed from the nearest one before. */
  explain(): string;
  /**
   * The arguments it has been traced for, with specs where tensors are: `f.lower(...f.signatures[0])`. Before the first
   * trace, what its option `signature` says; empty without one.
   */
  readonly signatures: readonly (readonly unknown[])[];
  /** The stages of compilation for arguments or specs, without running. */
  lower(...args: { [K in keyof A]: A[K] | Spec }): Lowered;
  /**
   * Adds the dispatches of a call to commands that somebody else submits, on the device that `ready("webgpu", { device })`
   * was given. What it returns is there once they are submitted, and variables have their new values then: until that
   * leave them alone, and keep what it reads. A check that fails is told by reading what it returns; variables keep what
   * was computed. For the backend "webgpu", functions that call nothing outside, and arguments that are tensors. Pipelines
   * must be there: `await ready("webgpu")` waits for them, and record throws where they are not.
   */
  record(encoder: GPUCommandEncoder, ...args: A): R;
}

function checkPrecision(precision: Precision): void {
  if (precision !== "f32" && precision !== "f16")
    throw new SinterError(`compile: the option precision is "f32" or "f16", not ${describeValue(precision)}`);
}

/** Bytes of programs and captured tensors that one function may hold. */
const cacheBytes = 256 * 1024 * 1024;
const defaultRetraceLimit = 8;

/**
 * Wraps `fn`. The first call with a signature (the tree of arguments, shapes, dtypes, and the values of numbers, strings,
 * booleans and other objects) traces it; later calls run the program. Called while another function is traced, it
 * becomes part of that one.
 */
export function compile<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options?: FunctionOptions,
): CompiledFunction<A, R>;
/** The third argument is what the source transform adds. */
export function compile<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options: FunctionOptions = {},
  site?: TransformedSite,
): CompiledFunction<A, R> {
  if (typeof fn !== "function") throw new SinterError(`compile: fn must be a function, not ${describeValue(fn)}`);
  checkTraceable("compile", fn);
  checkOptions("compile", options, optionNames);
  if (options.backend !== undefined) checkBackend("compile", options.backend);
  if (options.precision !== undefined) checkPrecision(options.precision);
  options.signature?.forEach((entry: unknown, i) => {
    if (!(entry instanceof Spec))
      throw new SinterError(
        `compile: signature[${i}] must be a spec, such as spec([32, 784]), not ${describeValue(entry)}`,
      );
  });
  const names = parameterNames(fn as unknown as UserFunction);
  return callable(new TracedFunction(fn as unknown as UserFunction, options, names, { site, made: siteOf(compile) }));
}

/** The function that a user calls. */
export function callable<A extends readonly unknown[], R>(traced: TracedFunction): CompiledFunction<A, R> {
  const call = (...args: A): R => {
    if (isEagerMode() || currentTrace() !== undefined) return traced.inline(args) as R;
    return traced.call(args, call) as R;
  };
  Object.defineProperty(call, "name", { value: traced.name, configurable: true });
  Object.defineProperty(call, "traces", { get: () => traced.traces });
  Object.defineProperty(call, "signatures", { get: () => traced.signatures() });
  functions.set(call, traced);
  return Object.assign(call, {
    explain: () => traced.explain(),
    lower: (...args: { [K in keyof A]: A[K] | Spec }) => traced.lower(args),
    record: (encoder: GPUCommandEncoder, ...args: A) => traced.record(encoder, args) as R,
  }) as CompiledFunction<A, R>;
}

const functions = new WeakMap<WeakKey, TracedFunction>();

/** What is behind a function that `compile` made; undefined for every other value. */
export function tracedFunction(value: unknown): TracedFunction | undefined {
  return typeof value === "function" ? functions.get(value) : undefined;
}

function programFor(
  tree: Tree,
  signature: string,
  wiring: Wiring,
  result: Tree,
  options: CompileOptions,
): TracedProgram {
  const Program = options.backend === "webgpu" ? GpuConcrete : Concrete;
  return new Program(tree, signature, wiring, result, options);
}

/** A trace, and the program on the heap that it makes. */
export interface HeapTrace extends Pick<TracedProgram, "tree" | "wiring" | "result"> {
  program(): TracedProgram;
}

export class TracedFunction {
  readonly name: string;
  private readonly history: TraceHistory;
  /** Names of the parameters, where the source tells them. */
  readonly names: readonly string[];
  readonly options: FunctionOptions;
  private readonly fn: UserFunction;
  private readonly made: Site | undefined;
  /** The arguments of a function that was loaded. */
  private readonly known: Tree | undefined;
  private readonly cache = new ByteCache<TracedProgram>(cacheBytes);
  private last: TracedProgram | undefined;
  private lastBackend: Backend | undefined;
  private warned = false;
  private readonly site: TransformedSite | undefined;
  private readonly source: SourceKind;
  private readonly checking: Checking;
  /** What looks into a program while it runs knows its sizes. */
  private needsSizes: boolean;

  constructor(
    fn: UserFunction,
    options: FunctionOptions,
    names: readonly string[],
    { site, made, known }: { site?: TransformedSite | undefined; made?: Site | undefined; known?: Tree } = {},
  ) {
    this.fn = fn;
    this.site = site;
    this.made = made;
    this.known = known;
    this.source = sourceKind(Function.prototype.toString.call(fn), site);
    const { signature } = options;
    this.options = { ...options, ...(signature === undefined ? {} : { signature: [...signature] }) };
    this.checking = checking(options);
    this.needsSizes = this.checking.debug || this.checking.verify;
    this.name = options.name ?? (fn.name || "anonymous");
    this.names = names;
    this.history = new TraceHistory(this.name, this.names);
  }

  call(args: readonly unknown[], self: AnyFunction): unknown {
    const made: Tensor[] = [];
    try {
      return this.run(this.options.signature === undefined ? args : this.conform(args, made), self);
    } catch (error) {
      throw explained(error);
    } finally {
      for (const handle of made) handle.dispose();
    }
  }

  /** Adds a call to the commands of somebody else. */
  record(encoder: GPUCommandEncoder, args: readonly unknown[]): unknown {
    if (typeof (encoder as Partial<GPUCommandEncoder> | null)?.beginComputePass !== "function")
      throw new SinterError(`record: encoder must be a GPUCommandEncoder, not ${describeValue(encoder)}`);
    if (currentTrace() !== undefined)
      throw new TraceError(`record: ${this.name} cannot be recorded while another function is traced`);
    const backend = this.options.backend ?? currentBackend();
    const made: Tensor[] = [];
    try {
      const given = this.options.signature === undefined ? args : this.conform(args, made);
      if (made.length > 0)
        throw new SinterError(
          `record: arguments of ${this.name} must be tensors, whose memory stays until the commands have run`,
        );
      const leaves: Leaf[] = [];
      const program = this.fitting(this.treeOf(given, leaves), leaves, backend);
      program.accepts(leaves);
      if (program instanceof GpuConcrete) return program.record(encoder, leaves, siteOf(this.record));
      throw new SinterError(`record: ${this.name} is for the ${backend} backend, which has no commands`);
    } catch (error) {
      throw explained(error);
    } finally {
      for (const handle of made) handle.dispose();
    }
  }

  /** Runs the function as it was written: its operations go where the caller's go. */
  inline(args: readonly unknown[]): unknown {
    const fn = this.fn as (...given: readonly unknown[]) => unknown;
    if (this.source === "plain" && this.options.autograph !== false) this.refuseBranches(this.treeOf(args, []));
    const guard = this.site === undefined ? undefined : guardOf(this.name, this.site);
    const trace = currentTrace()?.root();
    if (trace !== undefined) {
      trace.checking = either(trace.checking, this.checking);
      this.history.addInside(trace.name);
    }
    const result = this.inlined(fn, args);
    if (guard !== undefined) {
      settleGuard(guard);
      trace?.guards.push(guard);
    }
    return result;
  }

  private inlined(fn: (...given: readonly unknown[]) => unknown, args: readonly unknown[]): unknown {
    if (this.options.signature === undefined) return fn(...args);
    const made: Tensor[] = [];
    let kept: ReadonlySet<object> | undefined;
    try {
      const result = fn(...this.conform(args, made));
      kept = handlesIn(result);
      return result;
    } finally {
      for (const handle of made) if (kept?.has(handle) !== true) handle.dispose();
    }
  }

  private run(given: readonly unknown[], self: AnyFunction): unknown {
    const backend = this.options.backend ?? currentBackend();
    const leaves: Leaf[] = [];
    const { last } = this;
    if (last !== undefined && this.lastBackend === backend && matches(last.tree, given, leaves) && last.accepts(leaves))
      return last.call(leaves, last.site(self));
    leaves.length = 0;
    const concrete = this.fitting(this.treeOf(given, leaves), leaves, backend);
    if (!concrete.accepts(leaves))
      throw new Error(`${this.name}: sizes do not fit the program that was found for them`);
    this.last = concrete;
    this.lastBackend = backend;
    return concrete.call(leaves, concrete.site(self));
  }

  lower(args: readonly unknown[]): Lowered {
    const leaves: Leaf[] = [];
    const tree = this.treeOf(args, leaves);
    const backend = this.options.backend ?? currentBackend();
    const { fastMath = false, precision = "f32" } = this.options;
    this.refuseBranches(tree);
    const { wiring, result } = this.traceWith(tree, this.traces === 0 ? "allowed" : "forbidden");
    return new Lowered(wiring.graph, { backend, fastMath, precision }, (options) => {
      const concrete = programFor(tree, treeText(tree), wiring, result, options);
      return (...actual) => {
        const found: Leaf[] = [];
        if (!matches(tree, actual, found))
          throw new SinterError(
            `${this.name}: lowered for ${treeText(tree)}, called with ${treeText(treeOf(actual, [], "args"))}`,
          );
        try {
          if (!concrete.accepts(found))
            throw new SinterError(`${this.name}: lowered for ${treeText(tree)}: sizes of one name must be equal`);
          return concrete.call(found, undefined);
        } catch (error) {
          throw explained(error);
        }
      };
    });
  }

  get traces(): number {
    return this.history.traces;
  }

  explain(): string {
    return this.history.explain();
  }

  /** Where `compile` was called. */
  get loc(): Loc | undefined {
    return this.site?.loc ?? this.made?.loc();
  }

  /** The trace for arguments or specs, made now where there is none; tensors and specs are appended to `leaves`. */
  concrete(args: readonly unknown[], leaves: Leaf[], made: Tensor[]): TracedProgram {
    const given = this.options.signature === undefined ? args : this.conform(args, made);
    return this.find(this.treeOf(given, leaves), this.options.backend ?? currentBackend());
  }

  /** As `concrete`, for a program on the heap, also where the function runs on a GPU: that is compiled when it is called for. */
  onHeap(args: readonly unknown[], leaves: Leaf[], made: Tensor[]): HeapTrace {
    if ((this.options.backend ?? currentBackend()) !== "webgpu") {
      const concrete = this.concrete(args, leaves, made);
      const { tree, wiring, result } = concrete;
      return { tree, wiring, result, program: () => concrete };
    }
    const given = this.options.signature === undefined ? args : this.conform(args, made);
    const own = this.treeOf(given, leaves);
    this.refuseBranches(own);
    const known = this.cache.get(`webgpu ${treeText(own)}`);
    const { wiring, result } = known ?? this.traced(own);
    const tree = known?.tree ?? own;
    const options = { backend: "wasm", fastMath: this.options.fastMath ?? false } as const;
    let program: TracedProgram | undefined;
    return {
      tree,
      wiring,
      result,
      program: () => (program ??= programFor(tree, treeText(tree), wiring, result, options)),
    };
  }

  signatures(): readonly (readonly unknown[])[] {
    // The same arguments may have been traced for several backends.
    const traced = new Map(this.cache.values().map(({ signature, tree }) => [signature, tree]));
    if (traced.size === 0 && this.known !== undefined) return [specsOf(this.known) as readonly unknown[]];
    if (traced.size === 0) return this.options.signature === undefined ? [] : [this.options.signature];
    return [...traced.keys()].sort().map((signature) => specsOf(traced.get(signature)!) as readonly unknown[]);
  }

  private treeOf(args: readonly unknown[], leaves: Leaf[]): Tree {
    return treeOf(args, leaves, "args", (path) => `${this.name}: ${pathName(path, this.names)}`);
  }

  /** The program for these arguments, of symbolic sizes where the signature or earlier calls say so. */
  private fitting(tree: Tree, leaves: readonly Leaf[], backend: Backend): TracedProgram {
    if (this.needsSizes) return this.find(tree, backend);
    try {
      return this.general(tree, leaves, backend);
    } catch (error) {
      // A function inside it asks for that.
      if (!(error instanceof OpenSizesError)) throw error;
      this.needsSizes = true;
      return this.find(tree, backend);
    }
  }

  private general(tree: Tree, leaves: readonly Leaf[], backend: Backend): TracedProgram {
    const { signature, reduceRetracing } = this.options;
    if (signature !== undefined) return this.find(bySignature(tree, signature, this.names), backend);
    if (reduceRetracing !== true || this.cache.get(`${backend} ${treeText(tree)}`) !== undefined)
      return this.find(tree, backend);
    for (const known of this.cache.values()) {
      const general = known.backend === backend ? byShapes(known.tree, tree, this.names) : undefined;
      if (general === undefined) continue;
      try {
        const concrete = this.find(general, backend);
        if (concrete.accepts(leaves)) return concrete;
      } catch (error) {
        // What cannot be said of all sizes may be said of these.
        const isOfSizes = error instanceof ShapeError || error instanceof TraceError;
        if (!isOfSizes || error instanceof OpenSizesError) throw error;
      }
    }
    return this.find(tree, backend);
  }

  private find(tree: Tree, backend: Backend): TracedProgram {
    const signature = treeText(tree);
    const key = `${backend} ${signature}`;
    const known = this.cache.get(key);
    if (known !== undefined) return known;
    if (this.options.frozen === true && this.traces > 0) {
      const { nearest, text } = this.history.wouldBe(tree, backend);
      throw new SinterError(
        `${this.name} is frozen after its first trace, but was called with ${signature}. Nearest: trace ${nearest}; ${text}`,
      );
    }
    const started = performance.now();
    const concrete = this.trace(tree, signature, backend);
    const milliseconds = performance.now() - started;
    const { usage } = concrete;
    this.history.add(tree, { signature, backend, where: userLine(), milliseconds, usage });
    this.cache.set(key, { value: concrete, bytes: concrete.bytes, evict: () => concrete.dispose() });
    this.warnOfRetraces();
    return concrete;
  }

  private trace(tree: Tree, signature: string, backend: Backend): TracedProgram {
    const { fastMath = false, precision = "f32" } = this.options;
    this.refuseBranches(tree);
    const { wiring, result } = this.traced(tree);
    return programFor(tree, signature, wiring, result, { backend, fastMath, precision });
  }

  private traced(tree: Tree): TraceResult {
    const result = this.traceWith(tree, this.traces === 0 ? "allowed" : "forbidden");
    // A function that makes variables must make them once: a second trace shows whether it does.
    return result.created > 0 ? this.traceWith(tree, "forbidden") : result;
  }

  private traceWith(tree: Tree, creation: "allowed" | "forbidden"): TraceResult {
    const { fastMath = false } = this.options;
    const guards = this.site === undefined ? [] : [guardOf(this.name, this.site)];
    const tagged = this.source === "tagged";
    const { checking } = this;
    return traceFunction(this.fn, this.name, tree, this.names, { fastMath, creation, guards, tagged, checking });
  }

  /** Throws where source that was not transformed branches on what may be a tensor: not on what is static in this call. */
  private refuseBranches(tree: Tree): void {
    if (this.source !== "plain" || this.options.autograph === false) return;
    refuseBranches(this.name, Function.prototype.toString.call(this.fn), (path) => {
      const [first, ...rest] = path.split(".");
      const at = this.names.indexOf(first!);
      return at >= 0 && isStaticAt(tree, [String(at), ...rest]);
    });
  }

  private warnOfRetraces(): void {
    const limit = this.options.retraceLimit ?? defaultRetraceLimit;
    if (this.warned || this.traces <= limit) return;
    this.warned = true;
    const { why, advice } = this.history.last();
    console.warn(
      `sinter: ${this.name} has been traced ${this.traces} times, each a compilation. The last ${why}. To avoid it: ${advice}. ` +
        `${this.name}.explain() lists all traces; the option retraceLimit says when to warn.`,
    );
  }

  /** Brings arguments to the signature: numbers and arrays become tensors (`made`); what does not fit is an error. */
  private conform(args: readonly unknown[], made: Tensor[]): unknown[] {
    const signature = this.options.signature!;
    if (args.length !== signature.length)
      throw new SinterError(`${this.name}: ${args.length} arguments for a signature of ${signature.length}`);
    const sizes = new Map<string, { readonly size: SpecSize; readonly of: string }>();
    return args.map((arg, i) => {
      const wanted = signature[i]!;
      const name = this.names[i] ?? `argument ${i}`;
      const value =
        arg instanceof Tensor || arg instanceof Spec ? arg : tensor(arg as TensorLike, { dtype: wanted.dtype });
      if (value !== arg) made.push(value as Tensor);
      const dims: readonly SpecSize[] = value instanceof Spec ? value.shape : value.dims;
      const text = value instanceof Spec ? String(value) : describe(value);
      const fits =
        value.dtype === wanted.dtype &&
        dims.length === wanted.shape.length &&
        dims.every((d, k) => wanted.shape[k] === null || typeof wanted.shape[k] === "string" || wanted.shape[k] === d);
      if (!fits) throw new SinterError(`${this.name}: ${name} is ${text}, the signature says ${wanted}`);
      wanted.shape.forEach((called, k) => {
        if (typeof called !== "string") return;
        const size = dims[k]!;
        const before = sizes.get(called);
        if (before !== undefined && before.size !== size)
          throw new SinterError(
            `${this.name}: ${called} is ${sizeText(before.size)} in ${before.of} and ${sizeText(size)} in ${name}, ${text}`,
          );
        sizes.set(called, { size, of: `${name}, ${text}` });
      });
      return value;
    });
  }
}
