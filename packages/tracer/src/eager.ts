/**
 * Eager execution: operations outside a trace join a pending graph, which is compiled and run, through the same compiler
 * as everything else, when somebody reads a value or the graph has grown to its budget.
 */
import { type Attrs, allocate, type DType, getOp, type HostTensor, type Loc } from "@sinter/ir";
import { Buffer, type GpuBuffer, HeapFullError, isTrap, theMachine } from "@sinter/runtime";
import { currentBackend, heapBackend } from "./backend.ts";
import { trapError } from "./debug/trap.ts";
import { type Frame, finishedTrace, setGround } from "./frame.ts";
import { runPieceOnGpu } from "./gpu/piece.ts";
import { checkDeviceType, isOnGpu, misplaced } from "./gpu/place.ts";
import { Lazy, lazyFromData, type Ref, type Traced } from "./lazy.ts";
import { explained } from "./memory.ts";
import { periodOf } from "./period.ts";
import { check, cone, graphOf, type Piece, pieceOf, programOf, typeOfLazy } from "./piece.ts";

/** Most nodes that are pending at a time. */
export const nodeBudget = 256;
/** Most bytes that the results of pending nodes would take. */
const byteBudget = 2 * 1024 ** 3;
const constantLimit = 1024;

class EagerFrame implements Frame {
  readonly kind = "eager";
  /** Pending nodes in order, those included that nobody needs any more. */
  private pending: Lazy[] = [];
  private listed = new Set<Lazy>();
  private bytes = 0;
  private loc: Loc | undefined;
  private readonly constants = new Map<string, Lazy>();
  private serial = 0;
  private depth = 0;
  /** Values made since the outermost public function began: its local variables may be all that refers to them. */
  private held: Lazy[] = [];
  flushes = 0;
  peakPending = 0;

  get size(): number {
    return this.pending.length;
  }

  emit(op: string, operands: readonly Ref[], attrs: Attrs = {}): Lazy {
    const inputs = operands.map((ref) => usable(ref));
    const def = getOp(op);
    const types = def.type(inputs.map(typeOfLazy), attrs, [], []);
    const type = types[0];
    if (types.length !== 1 || type?.kind !== "tensor")
      throw new Error(`op ${op} does not have one tensor as its result`);
    const lazy = this.keep(new Lazy(type.dtype, type.shape as readonly number[]));
    const onGpu = currentBackend() === "webgpu";
    if (onGpu) checkDeviceType(`the result of ${op}`, lazy);
    else for (const input of inputs) if (isOnGpu(input)) throw misplaced(`an operand of ${op}`, input);
    // Needed from now on: a flush that computes one of them must not drop it.
    for (const input of inputs) input.retain();
    if (this.pending.length >= nodeBudget || this.bytes + lazy.bytes > byteBudget) this.flushBudget(inputs);
    lazy.pending = { op, operands: inputs, attrs, loc: this.loc, list: this.listed, serial: this.serial++, onGpu };
    this.pending.push(lazy);
    this.listed.add(lazy);
    this.bytes += lazy.bytes;
    if (this.pending.length > this.peakPending) this.peakPending = this.pending.length;
    return lazy;
  }

  scalar(dtype: DType, value: number): Lazy {
    const key = `${dtype} ${Object.is(value, -0) ? "-0" : value}`;
    let known = this.constants.get(key);
    if (known === undefined) {
      const data = allocate(dtype, 1);
      data[0] = value;
      if (this.constants.size >= constantLimit) this.dropConstants();
      known = this.constant({ dtype, shape: [], data }).retain();
      this.constants.set(key, known);
    }
    return known;
  }

  private dropConstants(): void {
    for (const known of this.constants.values()) this.keep(known).release();
    this.constants.clear();
  }

  number(dtype: DType, value: number): Lazy {
    return this.host({ dtype, shape: [], data: [value] });
  }

  /** Host data in memory of its own. */
  host({ dtype, shape, data }: Pick<HostTensor, "dtype" | "shape"> & { readonly data: ArrayLike<number> }): Lazy {
    return this.keep(lazyFromData(theMachine().heap, dtype, shape, data));
  }

  /** Constants are never computed ahead: each program that needs one embeds it. */
  constant(host: HostTensor): Lazy {
    const lazy = new Lazy(host.dtype, host.shape);
    const attrs = { dtype: host.dtype, shape: host.shape, data: host.data };
    lazy.pending = { op: "const", operands: [], attrs, loc: undefined, list: new Set(), serial: -1, onGpu: false };
    return lazy;
  }

  at(loc: Loc | undefined): void {
    this.loc = loc;
  }

  /** Begins a public function; `end` must follow. */
  begin(): void {
    this.depth++;
  }

  /** While a public function runs, what it makes lives on: whether anything needs it shows when the function ends. */
  keep(lazy: Lazy): Lazy {
    if (this.depth > 0) this.held.push(lazy.retain());
    return lazy;
  }

  /** Ends a public function. The outermost drops what is not needed: what a failed or composite function left behind. */
  end(): void {
    if (--this.depth > 0) return;
    for (const lazy of this.held.splice(0)) lazy.release();
    for (let last = this.pending.at(-1); last !== undefined && last.pending === undefined; last = this.pending.at(-1)) {
      this.bytes -= last.bytes;
      this.pending.pop();
    }
  }

  /** Makes room for `count` more nodes that belong together. */
  reserve(count: number): void {
    if (this.pending.length + count > nodeBudget) this.flushAll();
  }

  /** Computes values in the heap, and with them every variable's current value. An error where one is on the GPU. */
  force(wanted: readonly Lazy[]): void {
    const demanded = wanted.filter((lazy) => check(lazy).buffer === undefined);
    for (const lazy of demanded) if (isOnGpu(lazy)) throw misplaced("a value", lazy);
    this.compute(demanded, false);
  }

  /** Computes values wherever they belong; the heap's, which operations on the GPU are waiting for, first. */
  forceAnywhere(wanted: readonly Lazy[]): void {
    const demanded = wanted.filter((lazy) => check(lazy).buffer === undefined && lazy.gpu === undefined);
    if (demanded.length === 0) return;
    const heap = new Set<Lazy>();
    for (const lazy of demanded) if (!isOnGpu(lazy)) heap.add(lazy);
    for (const { pending } of cone(demanded, undefined))
      if (pending!.onGpu)
        for (const operand of pending!.operands)
          if (operand.pending?.onGpu === false && !isConstant(operand)) heap.add(operand);
    this.compute([...heap], false);
    this.compute(demanded.filter(isOnGpu), true);
  }

  private compute(demanded: readonly Lazy[], onGpu: boolean): void {
    if (demanded.length === 0) return;
    const rooted = this.pending.filter((lazy) => lazy.rooted > 0 && lazy.pending?.onGpu === onGpu);
    // What a variable waits for in the heap is not there yet where nobody asked for it.
    const ready = onGpu ? rooted.filter((lazy) => isAllOnGpu(lazy)) : rooted;
    const roots = [...demanded, ...ready];
    try {
      this.flush(roots, cone(roots, undefined));
    } catch (error) {
      // A variable whose value does not fit, or cannot be computed, must not stand in the way of all others.
      const fault = this.apart(roots, error, new Set(demanded));
      if (fault !== undefined) throw explained(fault.error);
    }
  }

  /**
   * Computes values one by one after an attempt to compute them together failed with `error`. Those that fail by
   * themselves keep their error, except where only memory or the assembler is missing: they may come. Returns the error of the first
   * failure among `wanted`.
   */
  private apart(
    roots: readonly Lazy[],
    error: unknown,
    wanted: ReadonlySet<Lazy>,
  ): { readonly error: unknown } | undefined {
    let first: { readonly error: unknown } | undefined;
    for (const root of new Set(roots)) {
      if (root.buffer !== undefined || root.gpu !== undefined) continue;
      let fault = root.failure ?? (roots.length === 1 ? { error } : undefined);
      try {
        if (fault === undefined) this.flush([root], cone([root], undefined));
      } catch (own) {
        fault = { error: own };
      }
      if (fault === undefined) continue;
      if (!isPassing(fault.error)) this.poison(root, fault.error);
      if (wanted.has(root)) first ??= fault;
    }
    return first;
  }

  private poison(lazy: Lazy, error: unknown): void {
    if (lazy.pending === undefined) return;
    lazy.fail(error);
    this.forget(new Set([lazy]));
  }

  /** Computes everything that a handle or a variable may want. */
  private flushAll(): void {
    const used = new Set(this.pending.flatMap((lazy) => lazy.pending?.operands ?? []));
    const ends = this.pending.filter((lazy) => lazy.pending !== undefined && lazy.uses > 0 && !used.has(lazy));
    if (ends.length > 0) this.forceAnywhere(ends);
  }

  /** Makes room: runs the longest prefix that repeats, so that a loop meets the same program again. */
  private flushBudget(next: readonly Lazy[]): void {
    // Loops run on one device.
    const onGpu = this.pending[0]?.pending?.onGpu;
    if (this.pending.some(({ pending }) => pending !== undefined && pending.onGpu !== onGpu)) {
      this.flushAll();
      if (this.pending.length < nodeBudget) return;
    }
    const period = periodOf(this.pending, this.pending);
    const count = Math.floor(this.pending.length / period) * period;
    const prefix = new Set(this.pending.slice(0, count));
    const roots = [...prefix].filter((lazy) => lazy.rooted > 0 && lazy.pending !== undefined);
    const outside = new Set(next);
    for (const lazy of this.pending.slice(count)) for (const used of lazy.pending?.operands ?? []) outside.add(used);
    for (const lazy of prefix)
      if (outside.has(lazy) && lazy.pending !== undefined && lazy.rooted === 0) roots.push(lazy);
    try {
      if (roots.length > 0) this.flush(roots, cone(roots, undefined), prefix);
      else this.forget(prefix);
    } catch (error) {
      // Not the fault of the operation that needs the room: what does not fit is computed when it is read, or fails there.
      if (!isPassing(error)) this.apart(roots, error, new Set());
      this.forget(prefix);
    }
  }

  /**
   * Runs the operations of `inside` (operands before users). Computed are `roots`, what others still pending use, and
   * older nodes that this graph uses again; the rest stays symbolic and is computed again if read.
   */
  private flush(roots: readonly Lazy[], inside: ReadonlySet<Lazy>, leaving: ReadonlySet<Lazy> = inside): void {
    const results = new Set(roots);
    for (const lazy of this.pending) {
      const outer = lazy.pending !== undefined && !inside.has(lazy);
      for (const used of lazy.pending?.operands ?? []) {
        if (!inside.has(used) || isConstant(used)) continue;
        if (outer && !leaving.has(lazy)) results.add(used);
        if (inside.has(lazy) && !this.listed.has(used)) results.add(used);
      }
    }
    const piece = pieceOf(inside, results);
    const { outputs } = piece;
    const onGpu = outputs.some((lazy) => lazy.pending!.onGpu);
    const buffers = onGpu ? runPieceOnGpu(inside, piece) : runPiece(inside, piece);
    this.flushes++;
    this.forget(leaving);
    // Settling one may end the last use of another: all are held until every buffer has its owner.
    for (const output of outputs) output.retain();
    outputs.forEach((output, i) => {
      const buffer: Buffer | GpuBuffer = buffers[i]!;
      if (buffer instanceof Buffer) output.settle(buffer);
      else output.settleOnGpu(buffer);
    });
    for (const output of outputs) output.release();
  }

  /** Takes nodes off the list; those without a buffer stay symbolic. */
  private forget(leaving: ReadonlySet<Lazy>): void {
    this.pending = this.pending.filter((lazy) => {
      const stays = !leaving.has(lazy) && lazy.pending !== undefined;
      if (stays) return true;
      this.listed.delete(lazy);
      return false;
    });
    this.bytes = this.pending.reduce((n, lazy) => n + lazy.bytes, 0);
  }
}

/** Runs operations in the heap; gives the memory of the outputs. */
function runPiece(inside: ReadonlySet<Lazy>, piece: Piece): readonly Buffer[] {
  const { leaves, outputs } = piece;
  const options = { backend: heapBackend() };
  const { executable } = programOf(inside, piece, options);
  const { heap } = theMachine();
  const buffers: Buffer[] = [];
  const { slots } = executable;
  const pointers = new Array<number>(slots.length).fill(0);
  try {
    for (const output of outputs) buffers.push(new Buffer(heap, output.bytes));
    slots.forEach((slot, i) => {
      if (slot.kind === "arg") pointers[i] = leaves[slot.index]!.buffer!.address;
      else if (slot.kind === "result") pointers[i] = buffers[slot.index]!.address;
    });
    executable.execute(pointers);
  } catch (error) {
    for (const buffer of buffers) buffer.release();
    throw isTrap(error) ? trapError(error, graphOf(inside, piece), options, []) : error;
  }
  return buffers;
}

/** Whether nothing that the operation waits for runs in the heap. */
function isAllOnGpu(lazy: Lazy): boolean {
  return [...cone([lazy], undefined)].every((inner) => inner.pending!.onGpu || isConstant(inner));
}

/** Whether the same computation may succeed later. */
function isPassing(error: unknown): boolean {
  return error instanceof HeapFullError;
}

function isConstant(lazy: Lazy): boolean {
  return lazy.pending !== undefined && lazy.pending.operands.length === 0;
}

function usable(ref: Ref): Lazy {
  if (ref.kind === "traced") throw finishedTrace(ref satisfies Traced);
  return check(ref);
}

export const eager = new EagerFrame();
setGround(eager);

/** Computes pending values in the heap; an error where one is on the GPU. */
export function force(...wanted: readonly Lazy[]): void {
  eager.force(wanted);
}

/** Computes pending values on the device that each belongs to. */
export function forceAnywhere(wanted: readonly Lazy[]): void {
  eager.forceAnywhere(wanted);
}

/** Counts, for tests and reports: nodes pending now, the most at a time, and flushes so far. */
export function eagerStats(): { readonly pending: number; readonly peakPending: number; readonly flushes: number } {
  return { pending: eager.size, peakPending: eager.peakPending, flushes: eager.flushes };
}
