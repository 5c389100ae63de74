/**
 * Eager execution: operations outside a trace join a pending graph, which is compiled and run, through the same compiler
 * as everything else, when somebody reads a value or the graph has grown to its budget.
 */
import {
  type Attrs,
  allocate,
  Builder,
  type DType,
  type Graph,
  getOp,
  type HostTensor,
  inlineElements,
  type Loc,
  type TensorType,
  type Value,
} from "@sinter/ir";
import { Buffer, type Compiled, compileGraph, HeapFullError, theMachine } from "@sinter/runtime";
import { currentBackend } from "./backend.ts";
import { DisposedError } from "./errors.ts";
import { type Frame, finishedTrace, setGround } from "./frame.ts";
import { Lazy, lazyFromData, type PendingOp, type Ref, type Traced } from "./lazy.ts";
import { explained } from "./memory.ts";
import { periodOf } from "./period.ts";

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
  /** Nodes that left the list while a public function that may still use them was running. */
  private strays: Lazy[] = [];
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
    const lazy = new Lazy(type.dtype, type.shape as readonly number[]);
    // Needed from now on: a flush that computes one of them must not drop it.
    for (const input of inputs) input.retain();
    if (this.pending.length >= nodeBudget || this.bytes + lazy.bytes > byteBudget) this.flushBudget(inputs);
    lazy.pending = { op, operands: inputs, attrs, loc: this.loc, list: this.listed, serial: this.serial++ };
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
      if (this.constants.size >= constantLimit) this.constants.clear();
      known = this.constant({ dtype, shape: [], data }).retain();
      this.constants.set(key, known);
    }
    return known;
  }

  number(dtype: DType, value: number): Lazy {
    return lazyFromData(theMachine().heap, dtype, [], [value]);
  }

  /** Constants are never computed ahead: each program that needs one embeds it. */
  constant(host: HostTensor): Lazy {
    const lazy = new Lazy(host.dtype, host.shape);
    const attrs = { dtype: host.dtype, shape: host.shape, data: host.data };
    lazy.pending = { op: "const", operands: [], attrs, loc: undefined, list: new Set(), serial: -1 };
    return lazy;
  }

  at(loc: Loc | undefined): void {
    this.loc = loc;
  }

  /** Begins a public function; `sweep` with what this returned must follow. */
  mark(): number {
    this.depth++;
    return this.serial;
  }

  /** Drops what was added since `mark` and is not needed: what a failed or composite function left behind. */
  sweep(mark: number): void {
    for (let i = this.pending.length - 1; i >= 0 && !((this.pending[i]!.pending?.serial ?? mark) < mark); i--)
      this.pending[i]!.sweep();
    while (this.pending.length > 0 && this.pending.at(-1)!.pending === undefined) this.pending.pop();
    if (--this.depth > 0 || this.strays.length === 0) return;
    for (const lazy of this.strays.splice(0)) lazy.sweep();
  }

  /** Makes room for `count` more nodes that belong together. */
  reserve(count: number): void {
    if (this.pending.length + count > nodeBudget) this.flushAll();
  }

  /** Computes values, and with them every variable's current value. */
  force(wanted: readonly Lazy[]): void {
    const demanded = wanted.filter((lazy) => check(lazy).buffer === undefined);
    if (demanded.length === 0) return;
    const rooted = this.pending.filter((lazy) => lazy.rooted > 0 && lazy.pending !== undefined);
    const roots = [...demanded, ...rooted];
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
      if (root.buffer !== undefined) continue;
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
    if (ends.length > 0) this.force(ends);
  }

  /** Makes room: runs the longest prefix that repeats, so that a loop meets the same program again. */
  private flushBudget(next: readonly Lazy[]): void {
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
    const { leaves, outputs } = piece;
    const { executable } = programOf(inside, piece);
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
      throw error;
    }
    this.flushes++;
    this.forget(leaving);
    // Settling one may end the last use of another: all are held until every buffer has its owner.
    for (const output of outputs) output.retain();
    outputs.forEach((output, i) => {
      output.settle(buffers[i]!);
    });
    for (const output of outputs) output.release();
  }

  /** Takes nodes off the list; those without a buffer stay symbolic. */
  private forget(leaving: ReadonlySet<Lazy>): void {
    this.pending = this.pending.filter((lazy) => {
      const stays = !leaving.has(lazy) && lazy.pending !== undefined;
      if (stays) return true;
      this.listed.delete(lazy);
      if (lazy.pending !== undefined && lazy.uses === 0) this.strays.push(lazy);
      return false;
    });
    this.bytes = this.pending.reduce((n, lazy) => n + lazy.bytes, 0);
  }
}

/** Whether the same computation may succeed later. */
function isPassing(error: unknown): boolean {
  return error instanceof HeapFullError;
}

function typeOfLazy(lazy: Lazy): TensorType {
  return { kind: "tensor", dtype: lazy.dtype, shape: lazy.shape };
}

function isConstant(lazy: Lazy): boolean {
  return lazy.pending !== undefined && lazy.pending.operands.length === 0;
}

function usable(ref: Ref): Lazy {
  if (ref.kind === "traced") throw finishedTrace(ref satisfies Traced);
  return check(ref);
}

function check(lazy: Lazy): Lazy {
  if (lazy.failure !== undefined) throw lazy.failure.error;
  if (lazy.buffer === undefined && lazy.pending === undefined)
    throw new DisposedError(
      lazy.lost
        ? "the value was lost: the program that was updating it in place stopped with an error"
        : "a disposed tensor was used",
    );
  return lazy;
}

/** All that must run to compute `roots`, operands before users. */
function cone(roots: readonly Lazy[], within: ReadonlySet<Lazy> | undefined): Set<Lazy> {
  const inside = new Set<Lazy>();
  const open = new Set<Lazy>();
  for (const root of roots) {
    const stack: { lazy: Lazy; next: number }[] = [{ lazy: root, next: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { lazy } = top;
      const op: PendingOp | undefined = lazy.pending;
      if (inside.has(lazy) || op === undefined || within?.has(lazy) === false) stack.pop();
      else if (top.next < op.operands.length) {
        open.add(lazy);
        const operand = op.operands[top.next++]!;
        if (!inside.has(operand) && !open.has(operand)) stack.push({ lazy: operand, next: 0 });
      } else {
        inside.add(lazy);
        stack.pop();
      }
    }
  }
  return inside;
}

/** What a set of pending operations reads and gives, and a text that is equal for equal graphs. */
interface Piece {
  readonly leaves: readonly Lazy[];
  readonly outputs: readonly Lazy[];
  /** Undefined where a constant is too large to write out. */
  readonly key: string | undefined;
}

function pieceOf(inside: ReadonlySet<Lazy>, results: ReadonlySet<Lazy>): Piece {
  const leaves: Lazy[] = [];
  const numbers = new Map<Lazy, string>();
  const parts: string[] = [currentBackend()];
  let written = true;
  let count = 0;
  for (const lazy of inside) {
    const { op, operands, attrs } = lazy.pending!;
    let line = op;
    for (const operand of operands) {
      let number = numbers.get(operand);
      if (number === undefined) {
        const { dtype, shape } = check(operand);
        number = `a${leaves.length}`;
        line += ` ${number}:${dtype}[${shape}]`;
        leaves.push(operand);
        numbers.set(operand, number);
      } else line += ` ${number}`;
    }
    for (const name in attrs) {
      const value = attrs[name];
      if (ArrayBuffer.isView(value)) {
        if (value.length > inlineElements) written = false;
        else line += ` ${name}=${Array.from(value, numberText)}`;
      } else line += ` ${name}=${JSON.stringify(value)}`;
    }
    numbers.set(lazy, String(count++));
    parts.push(line);
  }
  const outputs = [...results];
  parts.push(`return ${outputs.map((lazy) => numbers.get(lazy))}`);
  return { leaves, outputs, key: written ? parts.join("\n") : undefined };
}

function numberText(x: number): string {
  return Object.is(x, -0) ? "-0" : String(x);
}

/** Programs of recent flushes by that text, so that a loop does not build the same graph each time round. */
const flushed = new Map<string, Compiled>();
const flushedLimit = 64;

function programOf(inside: ReadonlySet<Lazy>, piece: Piece): Compiled {
  const { key } = piece;
  const known = key === undefined ? undefined : flushed.get(key);
  if (known !== undefined) return known;
  const made = compileGraph(graphOf(inside, piece), { backend: currentBackend() });
  if (key !== undefined) {
    if (flushed.size >= flushedLimit) flushed.delete(flushed.keys().next().value!);
    flushed.set(key, made);
  }
  return made;
}

function graphOf(inside: ReadonlySet<Lazy>, { leaves, outputs }: Piece): Graph {
  const b = new Builder("eager");
  const values = new Map<Lazy, Value>();
  leaves.forEach((leaf, i) => {
    values.set(leaf, b.param("arg", typeOfLazy(leaf), `a${i}`));
  });
  for (const lazy of inside) {
    const { op, operands, attrs, loc } = lazy.pending!;
    b.at(loc);
    if (op === "const") values.set(lazy, b.constant({ ...typeOfLazy(lazy), data: attrs["data"] } as HostTensor));
    else
      values.set(
        lazy,
        b.emit(
          op,
          operands.map((operand) => values.get(operand)!),
          attrs,
        ),
      );
  }
  return b.finish(outputs.map((lazy) => ({ kind: "out", value: values.get(lazy)! })));
}

export const eager = new EagerFrame();
setGround(eager);

/** Computes pending values. */
export function force(...wanted: readonly Lazy[]): void {
  eager.force(wanted);
}

/** Counts, for tests and reports: nodes pending now, the most at a time, and flushes so far. */
export function eagerStats(): { readonly pending: number; readonly peakPending: number; readonly flushes: number } {
  return { pending: eager.size, peakPending: eager.peakPending, flushes: eager.flushes };
}
