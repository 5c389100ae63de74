/**
 * Interprets Loop IR over typed arrays, checking every access against its own buffer, every variable for being defined,
 * and every read of scratch for having been written: the oracle that schedules and the emitter are tested against.
 */
import { allocate, bytesOf, type DType, roundTo, roundToHalf, type ScalarType, type TypedArray } from "../dtype.ts";
import { dimValue } from "../nest/index-algebra.ts";
import { castValue } from "../nest/scalar-expr.ts";
import { evalScalar, isScalarOp } from "../scalar-ops.ts";
import type { LoopExpr, LoopFunc, LoopKernel, LoopPointer, LoopStmt, LoopVar } from "./loop.ts";
import { printLoopExpr } from "./print.ts";

type Scalar = number | bigint;
type Lanes = readonly Scalar[];
/** Memory behind a pointer. `written` is kept for scratch, one flag for each element. */
interface Region {
  readonly array: TypedArray | BigInt64Array;
  readonly written?: Uint8Array;
}

/** Runs the first function on arrays bound to its pointers in order, and integers to its parameters. */
export function evalLoopFunc(
  funcs: readonly LoopFunc[],
  arrays: readonly TypedArray[],
  params: readonly number[] = [],
): void {
  call(
    funcs,
    funcs[0]!,
    arrays.map((array) => ({ array })),
    params,
  );
}

/**
 * Runs a kernel on its buffers, in the order of `kernel.buffers`; scratch is made here. A kernel with grids runs group
 * after group, the last first, so that a schedule that depends on their order shows itself.
 */
export function evalLoopKernel(
  kernel: LoopKernel,
  buffers: readonly TypedArray[],
  sizes: ReadonlyMap<string, number> = new Map(),
): void {
  const scratch = kernel.scratch.map(({ pointer, bytes }): Region => {
    const onDevice = kernel.grids !== undefined;
    const length = dimValue(bytes, sizes) / (onDevice ? deviceBytes : bytesOf(pointer.element));
    const all = onDevice ? wholeVectors(length) : length;
    // What fills up the last vector may be read.
    return { array: newArray(pointer.element, all), written: new Uint8Array(all).fill(1, length) };
  });
  const syms = (kernel.syms ?? []).map((sym) => sizes.get(sym)!);
  if (kernel.grids === undefined) {
    call(kernel.funcs, kernel.funcs[0]!, [...buffers.map((array) => ({ array })), ...scratch], syms);
    return;
  }
  const padded = new Map(buffers.map((array) => [array, paddedCopy(array)]));
  const regions = [...buffers.map((array) => ({ array: padded.get(array)! })), ...scratch];
  for (const { func: name, groups, threads } of kernel.grids) {
    const func = kernel.funcs.find((f) => f.name === name)!;
    for (let group = dimValue(groups, sizes) - 1; group >= 0; group--) {
      const frames = Array.from({ length: threads }, (_, thread) =>
        enter(kernel.funcs, func, regions, [group, thread, ...syms]),
      );
      for (const { pointer, elements } of func.locals ?? []) {
        const shared = newArray(pointer.element, elements);
        for (const frame of frames)
          frame.memory.set(pointer.id, {
            array: pointer.space === "private" ? newArray(pointer.element, elements) : shared,
          });
      }
      runTogether(frames, func.body);
    }
  }
  for (const [array, copy] of padded) array.set(copy.subarray(0, array.length) as never);
}

/** Bytes of an element on a GPU, whatever its dtype. */
const deviceBytes = 4;

/** Memory on a GPU ends with a whole vector, of which a last one may touch all lanes. */
function paddedCopy(array: TypedArray): TypedArray {
  const copy = new (array.constructor as new (length: number) => TypedArray)(wholeVectors(array.length));
  copy.set(array as never);
  return copy;
}

const wholeVectors = (elements: number): number => Math.ceil(elements / 4) * 4;

/** Threads of a group, all of which come to every statement in which they meet. */
function runTogether(frames: readonly Frame[], list: readonly LoopStmt[]): void {
  for (const s of list) {
    if (!meets(s)) {
      for (const frame of [...frames].reverse()) frame.run([s]);
      continue;
    }
    const uniform = (e: LoopExpr): number => {
      const [first, ...others] = frames.map((f) => f.once(e));
      if (others.some((v) => v !== first)) throw new Error(`threads part before a barrier: ${printLoopExpr(e)}`);
      return first!;
    };
    switch (s.kind) {
      case "groupFold":
        foldTogether(frames, s);
        break;
      case "for": {
        const to = uniform(s.to);
        for (let i = uniform(s.from); i < to; i += s.step) {
          for (const frame of frames) frame.values.set(s.variable.id, [i]);
          runTogether(frames, s.body);
        }
        break;
      }
      case "while":
        while (uniform(s.test)) runTogether(frames, s.body);
        break;
      case "if":
        runTogether(frames, uniform(s.test) ? s.then : s.else);
        break;
      default:
        break;
    }
  }
}

function foldTogether(frames: readonly Frame[], s: LoopStmt & { kind: "groupFold" }): void {
  const { scalar } = s.variable.type;
  const values = frames.map((f) => f.once(s.value));
  const width = s.threads ?? frames.length;
  if (frames.length % width !== 0) throw new Error(`a fold of each ${width} threads in a group of ${frames.length}`);
  for (let first = 0; first < frames.length; first += width) {
    const mine = values.slice(first, first + width);
    const folded = mine.reduce((a, b) => Number(evalLoopOp(s.op, [scalar, scalar], scalar, [a, b])));
    for (const frame of frames.slice(first, first + width)) frame.values.set(s.variable.id, [folded]);
  }
}

/** Whether threads meet in a statement. */
function meets(s: LoopStmt): boolean {
  if (s.kind === "barrier" || s.kind === "groupFold") return true;
  if (s.kind === "for" || s.kind === "while") return s.body.some(meets);
  return s.kind === "if" && (s.then.some(meets) || s.else.some(meets));
}

function newArray(element: ScalarType, length: number): TypedArray | BigInt64Array {
  return element === "i64" ? new BigInt64Array(length) : allocate(element, length);
}

function call(funcs: readonly LoopFunc[], func: LoopFunc, regions: readonly Region[], params: readonly number[]): void {
  enter(funcs, func, regions, params).run(func.body);
}

/** A call whose body has not run yet. */
function enter(
  funcs: readonly LoopFunc[],
  func: LoopFunc,
  regions: readonly Region[],
  params: readonly number[],
): Frame {
  const frame = new Frame(funcs, func);
  for (const [i, p] of func.pointers.entries()) frame.memory.set(p.id, regions[i]!);
  for (const [i, v] of func.params.entries()) frame.values.set(v.id, [params[i]!]);
  return frame;
}

class Frame {
  readonly memory = new Map<number, Region>();
  readonly values = new Map<number, Lanes>();
  private readonly funcs: readonly LoopFunc[];
  private readonly func: LoopFunc;
  /** Values of the nodes of the statement being run. */
  private known = new Map<LoopExpr, Lanes>();

  constructor(funcs: readonly LoopFunc[], func: LoopFunc) {
    this.funcs = funcs;
    this.func = func;
  }

  private fail(message: string): never {
    throw new Error(`loop function ${this.func.name}: ${message}`);
  }

  run(list: readonly LoopStmt[]): void {
    for (const s of list) {
      this.known = new Map();
      this.statement(s);
    }
  }

  /** The value of a one-lane expression at this moment. */
  once(e: LoopExpr): number {
    return Number(this.fresh(e)[0]);
  }

  private integer(e: LoopExpr): number {
    return Number(this.eval(e)[0]);
  }

  private statement(s: LoopStmt): void {
    switch (s.kind) {
      case "let":
      case "assign":
        this.values.set(s.variable.id, this.eval(s.value));
        return;
      case "store":
        this.store(s);
        return;
      case "for": {
        const to = this.integer(s.to);
        for (let i = this.integer(s.from); i < to; i = (i + s.step) | 0) {
          this.values.set(s.variable.id, [i]);
          this.run(s.body);
        }
        return;
      }
      case "while":
        while (this.fresh(s.test)[0]) this.run(s.body);
        return;
      case "if":
        this.run(this.eval(s.test)[0] ? s.then : s.else);
        return;
      case "call":
        this.invoke(
          s,
          s.args.map((a) => this.integer(a)),
        );
        return;
      case "par": {
        const args = s.args.map((a) => this.integer(a));
        const chunks = this.integer(s.chunks);
        // Backwards, so that a schedule that depends on the order of chunks shows itself against wasm.
        for (let chunk = chunks - 1; chunk >= 0; chunk--) this.invoke(s, [chunk, ...args]);
        return;
      }
      case "barrier":
      case "groupFold":
        throw new Error(`${s.kind} runs on GPUs only`);
      default:
        s satisfies never;
    }
  }

  private invoke(
    s: { readonly func: string; readonly pointers: readonly LoopPointer[] },
    args: readonly number[],
  ): void {
    const target = this.funcs.find((f) => f.name === s.func) ?? this.fail(`no function ${s.func}`);
    call(
      this.funcs,
      target,
      s.pointers.map((p) => this.region(p)),
      args,
    );
  }

  private region(p: LoopPointer): Region {
    return this.memory.get(p.id) ?? this.fail(`pointer ${p.name} is not bound`);
  }

  /** Checks that `count` elements from `index` exist. */
  private bounds(p: LoopPointer, index: number, count: number): Region {
    const region = this.region(p);
    if (count > 0 && (index < 0 || index + count > region.array.length))
      this.fail(`${p.name}[${index}..${index + count}) is outside of its ${region.array.length} elements`);
    return region;
  }

  private store(s: Extract<LoopStmt, { kind: "store" }>): void {
    const value = this.eval(s.value);
    const index = this.integer(s.index);
    const count = s.active ?? value.length;
    const { array, written } = this.bounds(s.pointer, index, count);
    for (let l = 0; l < count; l++) {
      array[index + l] = (s.pointer.half ? roundToHalf(Number(value[l])) : value[l]!) as never;
      if (written !== undefined) written[index + l] = 1;
    }
  }

  private load(e: Extract<LoopExpr, { kind: "load" }>): Lanes {
    const index = this.integer(e.index);
    const count = e.active ?? e.type.lanes;
    const { array, written } = this.bounds(e.pointer, index, count);
    const zero: Scalar = e.type.scalar === "i64" ? 0n : 0;
    return Array.from({ length: e.type.lanes }, (_, l) => {
      if (l >= count) return zero;
      if (written?.[index + l] === 0) this.fail(`${e.pointer.name}[${index + l}] is read before it is written`);
      return array[index + l]!;
    });
  }

  private fresh(e: LoopExpr): Lanes {
    this.known = new Map();
    return this.eval(e);
  }

  private eval(e: LoopExpr): Lanes {
    let value = this.known.get(e);
    if (value === undefined) this.known.set(e, (value = this.compute(e)));
    return value;
  }

  private variable(v: LoopVar): Lanes {
    return this.values.get(v.id) ?? this.fail(`${v.name}%${v.id} is read before it is defined`);
  }

  private compute(e: LoopExpr): Lanes {
    switch (e.kind) {
      case "const":
        return Array.from({ length: e.type.lanes }, () => e.value);
      case "var":
        return this.variable(e.variable);
      case "load":
        return this.load(e);
      case "splat": {
        const [value] = this.eval(e.arg);
        return Array.from({ length: e.type.lanes }, () => value!);
      }
      case "ramp": {
        const base = this.integer(e.base);
        return Array.from({ length: e.type.lanes }, (_, l) => (base + l) | 0);
      }
      case "pack":
        return e.args.map((a) => this.eval(a)[0]!);
      case "lane":
        return [this.eval(e.arg)[e.lane]!];
      case "fold": {
        const [a, b, c, d] = this.eval(e.arg) as [Scalar, Scalar, Scalar, Scalar];
        const { scalar } = e.type;
        const apply = (x: Scalar, y: Scalar): Scalar => evalLoopOp(e.op, [scalar, scalar], scalar, [x, y]);
        return [apply(apply(a, c), apply(b, d))];
      }
      case "any":
        return [this.eval(e.arg).some((x) => x) ? 1 : 0];
      case "op": {
        const args = e.args.map((a) => this.eval(a));
        const types = e.args.map((a) => a.type.scalar);
        return Array.from({ length: e.type.lanes }, (_, l) => {
          try {
            return evalLoopOp(
              e.op,
              types,
              e.type.scalar,
              args.map((a) => a[l]!),
            );
          } catch (error) {
            return this.fail(`${(error as Error).message} in ${printLoopExpr(e)}`);
          }
        });
      }
      default:
        return e satisfies never;
    }
  }
}

const bitsView = new DataView(new ArrayBuffer(8));

/** One lane of an operation. */
export function evalLoopOp(op: string, types: readonly ScalarType[], result: ScalarType, args: Lanes): Scalar {
  if (op === "select") return args[0] ? args[1]! : args[2]!;
  if (op === "rarely") return args[0] ? args[2]! : args[1]!;
  if (op === "cast") return castValue(types[0] as DType, result as DType, Number(args[0]));
  if (op === "bitcast") return evalBitcast(types[0]!, result, args[0]!);
  if (types[0] === "i64") return evalI64(op, args as readonly bigint[]);
  const [x, y] = args as readonly [number, number];
  if (isScalarOp(op)) return evalScalar(op, types as readonly DType[], result as DType, args as readonly number[]);
  switch (op) {
    case "pmin":
      return y < x ? y : x;
    case "pmax":
      return x < y ? y : x;
    case "shrU":
      return roundTo(result as DType, x >>> y);
    case "ltU":
      return x >>> 0 < y >>> 0 ? 1 : 0;
    case "geU":
      return x >>> 0 >= y >>> 0 ? 1 : 0;
    case "divU":
    case "remU": {
      if (y === 0) throw new Error("division by zero");
      const quotient = Math.floor((x >>> 0) / (y >>> 0));
      return roundTo(result as DType, op === "divU" ? quotient : (x >>> 0) - quotient * (y >>> 0));
    }
    case "mulhiU":
      return roundTo(result as DType, Number((BigInt(x >>> 0) * BigInt(y >>> 0)) >> 32n));
    default:
      throw new Error(`no loop op ${op}`);
  }
}

function evalI64(op: string, [x, y]: readonly bigint[]): Scalar {
  const [a, b] = [x!, y ?? 0n];
  switch (op) {
    case "add":
      return BigInt.asIntN(64, a + b);
    case "sub":
      return BigInt.asIntN(64, a - b);
    case "and":
      return a & b;
    case "or":
      return a | b;
    case "xor":
      return a ^ b;
    case "not":
      return ~a;
    case "shl":
      return BigInt.asIntN(64, a << (b & 63n));
    case "shrU":
      return BigInt.asIntN(64, BigInt.asUintN(64, a) >> (b & 63n));
    case "eq":
      return a === b ? 1 : 0;
    case "ne":
      return a === b ? 0 : 1;
    default:
      throw new Error(`no loop op ${op} on i64`);
  }
}

function evalBitcast(from: ScalarType, to: ScalarType, value: Scalar): Scalar {
  if (from === "f32") bitsView.setFloat32(0, Number(value));
  else if (from === "f64") bitsView.setFloat64(0, Number(value));
  else if (from === "i64") bitsView.setBigInt64(0, BigInt(value));
  else bitsView.setUint32(0, Number(value) >>> 0);
  if (to === "f32") return bitsView.getFloat32(0);
  if (to === "f64") return bitsView.getFloat64(0);
  if (to === "i64") return bitsView.getBigInt64(0);
  return to === "i32" ? bitsView.getInt32(0) : bitsView.getUint32(0);
}
