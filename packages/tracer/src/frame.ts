/**
 * Where operations go: the ambient frame. Eagerly they join the pending graph; inside `compile`, `grad` and their like
 * they join the graph being traced. A trace frame is sealed when its trace ends, and one that failed leaves no trace.
 */
import {
  type Attrs,
  Builder,
  bytesOf,
  type Dim,
  type DType,
  type Graph,
  type GraphResult,
  type HostTensor,
  type Loc,
  type ParamKind,
  typeOf,
  type Value,
} from "@sinter/ir";
import type { Checking } from "./debug/settings.ts";
import { internDims } from "./dims.ts";
import { type Callback, HostRun } from "./effects/run.ts";
import { describe, TraceError } from "./errors.ts";
import { type Lazy, type Ref, sizeOf, type Traced } from "./lazy.ts";
import type { Guard } from "./transformed.ts";

export interface Frame {
  readonly kind: "eager" | "trace";
  /** Adds an operation with one result; operands of enclosing frames are captured. */
  emit(op: string, operands: readonly Ref[], attrs?: Attrs): Ref;
  /** A rank-0 constant that belongs to the program. */
  scalar(dtype: DType, value: number): Ref;
  /** A number that came from the user: eagerly an input, so that another number does not mean another program. */
  number(dtype: DType, value: number): Ref;
  constant(host: HostTensor): Ref;
  /** Position for the operations that follow. */
  at(loc: Loc | undefined): void;
}

/** The cell behind a Variable: what frames and the flush know of it. */
export abstract class VariableCell {
  abstract readonly name: string;
  /** Whether the user chose the name. */
  abstract readonly named: boolean;
  abstract readonly dtype: DType;
  abstract readonly shape: readonly number[];
  abstract readonly trainable: boolean;
  /** What it holds when a program starts, where it is no state that lasts from call to call. */
  readonly initial: number | undefined = undefined;
  /** Its eager value now. Throws where there is none any more. */
  abstract current(): Lazy;
  /** What it holds, whatever became of that; undefined once it is disposed. */
  abstract held(): Lazy | undefined;
  /** Makes another eager value its own. */
  abstract rebind(lazy: Lazy): void;
}

/** A value from outside the trace and the parameter that stands for it. */
export interface Capture {
  readonly ref: Ref;
  readonly param: number;
  readonly own: Traced;
}
/** A variable that the trace reads or writes. `entry` is its value when the program starts, `now` at this point. */
export interface StateUse {
  readonly variable: VariableCell;
  /** -1 where a program starts with a number instead of a parameter. */
  readonly param: number;
  readonly entry: Traced;
  now: Traced;
}

/** Constants of at most this many bytes are repeated in a block that uses them instead of captured by it. */
const repeatedBytes = 64;

let nextId = 0;

/** A trace that is longer is taken for an endless loop, while there is memory left to say so. */
const mostOperations = 200_000;

/** Collects a graph. `root` frames belong to `compile`: what they capture is computed and kept. */
export class TraceFrame implements Frame {
  readonly kind = "trace";
  readonly id = nextId++;
  readonly name: string;
  readonly parent: Frame;
  readonly builder: Builder;
  readonly captures: Capture[] = [];
  readonly states = new Map<VariableCell, StateUse>();
  readonly created: VariableCell[] = [];
  /** Part of an enclosing trace that becomes a region of an operation there. */
  readonly block: boolean;
  /** What each check fails with; kept by the outermost frame. */
  readonly checks: Error[] = [];
  /** The functions of the host that the program calls, by number; kept by the outermost frame. */
  readonly calls: Callback[] = [];
  /** Answers them where the trace runs as soon as it is finished. */
  readonly host = new HostRun(this.calls);
  /** What the functions being traced captured; kept by the outermost frame. */
  readonly guards: Guard[] = [];
  /** What calls of the program are looked at for; kept by the outermost frame. */
  checking: Checking = { debug: false, verify: false };
  /** Whether positions come from `tag`, so that no stack need be captured. */
  tagged: boolean;
  /** Whether variables may be made now, and if not, why. */
  readonly creation: "allowed" | "forbidden";
  /** How a root frame takes in an eager value; nested frames capture everything as it is. */
  private readonly adopt: ((lazy: Lazy) => HostTensor | undefined) | undefined;
  private readonly captured = new Map<Lazy | Value, Traced>();
  private readonly positions = new Map<Value, number>();
  sealed = false;

  constructor(
    name: string,
    parent: Frame,
    options: {
      readonly fastMath?: boolean;
      readonly creation?: "allowed" | "forbidden";
      readonly adopt?: (lazy: Lazy) => HostTensor | undefined;
      readonly block?: boolean;
    } = {},
  ) {
    const enclosing = parent instanceof TraceFrame ? parent : undefined;
    this.name = name;
    this.parent = parent;
    this.block = options.block ?? false;
    this.tagged = enclosing?.tagged ?? false;
    // The name of a block says where it was written, which is no part of the program.
    const graphName = this.block ? name.replace(/[ -].*$/s, "") : name;
    this.builder = new Builder(graphName, { fastMath: options.fastMath ?? enclosing?.builder.fastMath ?? false });
    this.creation = options.creation ?? "forbidden";
    this.adopt = options.adopt;
  }

  argument(dtype: DType, shape: readonly Dim[], name: string): Traced {
    return this.own(this.addParam("arg", dtype, shape, name));
  }

  /** Position of a parameter. */
  positionOf(param: Traced): number {
    return this.positions.get(param.value)!;
  }

  private addParam(kind: ParamKind, dtype: DType, shape: readonly Dim[], name: string): Value {
    const value = this.builder.param(kind, { kind: "tensor", dtype, shape }, name);
    this.positions.set(value, this.positions.size);
    return value;
  }

  emit(op: string, operands: readonly Ref[], attrs: Attrs = {}): Traced {
    this.checkOpen();
    if (this.builder.size > mostOperations)
      throw new TraceError(
        `the trace of ${this.name} has more than ${mostOperations} operations: a loop on JavaScript values adds its own in every round. ` +
          "Write for (const i of range(n)), or make the loop's condition a tensor",
      );
    return this.own(
      this.builder.emit(
        op,
        operands.map((ref) => this.lift(ref).value),
        attrs,
      ),
    );
  }

  scalar(dtype: DType, value: number): Traced {
    return this.own(this.builder.scalar(dtype, value));
  }

  number(dtype: DType, value: number): Traced {
    return this.scalar(dtype, value);
  }

  constant(host: HostTensor): Traced {
    return this.own(this.builder.constant(host));
  }

  at(loc: Loc | undefined): void {
    this.builder.at(loc);
  }

  /** Gives a position to all operations since the last tag that have none. */
  tag(loc: Loc): void {
    this.builder.tag(loc);
  }

  /** The outermost trace this one is part of. */
  root(): TraceFrame {
    return this.parent instanceof TraceFrame ? this.parent.root() : this;
  }

  /** The value that stands for `ref` in this frame. */
  lift(ref: Ref): Traced {
    if (ref.kind === "traced" && ref.owner === this) return ref;
    const key = ref.kind === "lazy" ? ref : ref.value;
    const known = this.captured.get(key);
    if (known !== undefined) return known;
    if (ref.kind === "traced") this.checkAncestor(ref);
    const constant = this.block ? repeatable(ref, this.parent) : undefined;
    const traced = constant === undefined ? this.capture(ref) : this.constant(constant);
    this.captured.set(key, traced);
    return traced;
  }

  /** The value of a variable at this point of the program. */
  read(variable: VariableCell): Traced {
    return this.state(variable).now;
  }

  /** The value a variable has from here on. */
  write(variable: VariableCell, ref: Ref): void {
    this.state(variable).now = this.lift(ref);
  }

  /** Where this frame captured a variable: its value on entry, as this frame sees it. */
  private state(variable: VariableCell): StateUse {
    this.checkOpen();
    let use = this.states.get(variable);
    if (use === undefined) {
      const { dtype, shape, initial } = variable;
      if (initial !== undefined && !(this.parent instanceof TraceFrame)) {
        const own = this.scalar(dtype, initial);
        use = { variable, param: -1, entry: own, now: own };
      } else {
        // Names that count up over the process would make a program of its own for each copy of a model.
        const name = variable.named ? variable.name : `variable_${this.states.size}`;
        const own = this.own(this.addParam("state", dtype, shape, name));
        use = { variable, param: this.positionOf(own), entry: own, now: own };
      }
      this.states.set(variable, use);
    }
    return use;
  }

  /** What a captured parameter stands for; undefined for arguments, states and results of operations. */
  capturedRef(value: Value): Ref | undefined {
    return this.captures.find((capture) => capture.own.value === value)?.ref;
  }

  /** Ends the trace: its values can no longer be used in others. State results are the caller's to list. */
  finish(results: readonly GraphResult[]): Graph {
    this.sealed = true;
    return this.builder.finish(results);
  }

  seal(): void {
    this.sealed = true;
  }

  /** Small enough eager values as the enclosing `compile` takes them in: as part of the program. */
  adopted(lazy: Lazy): HostTensor | undefined {
    if (this.adopt !== undefined) return this.adopt(lazy);
    return this.parent instanceof TraceFrame ? this.parent.adopted(lazy) : undefined;
  }

  private capture(ref: Ref): Traced {
    if (ref.kind === "lazy") {
      const folded = this.adopt?.(ref);
      if (folded !== undefined) return this.own(this.builder.constant(folded));
    }
    const own = this.own(this.addParam("const", ref.dtype, ref.shape, `c${this.captures.length}`));
    this.captures.push({ ref, param: this.positionOf(own), own });
    return own;
  }

  own(value: Value): Traced {
    const { dtype, shape } = typeOf(value);
    return { kind: "traced", owner: this, value, dtype, shape: internDims(shape) };
  }

  private checkOpen(): void {
    if (this.sealed) throw new TraceError(`the trace of ${this.name} is finished`);
  }

  private checkAncestor(ref: Traced): void {
    for (let frame: Frame | undefined = this.parent; frame instanceof TraceFrame; frame = frame.parent)
      if (frame === ref.owner && !frame.sealed) return;
    throw finishedTrace(ref);
  }
}

/** A constant that a block repeats: that of an enclosing trace, or an eager value that the program takes in. */
function repeatable(ref: Ref, parent: Frame): HostTensor | undefined {
  if (ref.kind === "lazy") return parent instanceof TraceFrame ? parent.adopted(ref) : undefined;
  const elements = sizeOf(ref.shape);
  return typeof elements !== "number" || elements * bytesOf(ref.dtype) > repeatedBytes
    ? undefined
    : (ref.owner as TraceFrame).builder.constantOf(ref.value);
}

/** The error for a tensor that outlived its trace. */
export function finishedTrace(ref: Traced): TraceError {
  const owner = ref.owner as TraceFrame;
  if (owner.block)
    return new TraceError(
      `${describe(ref)} was made inside the ${owner.name}${origin(ref)} and is used outside it, where it may not exist: ` +
        "return it, or assign it to a variable that has a value on every way there. A list that grows in a loop cannot be staged: stack what scan gives, or write into a tensor with x.set(i, value).",
    );
  return new TraceError(
    `a tensor ${describe(ref)} from the finished trace of ${owner.name} was used outside it: ` +
      "it has no value of its own. Return it from the function, or keep it in a variable().",
  );
}

/** The line that made a traced value, where that is known. */
function origin({ owner, value }: Traced): string {
  const loc = (owner as TraceFrame).builder.locsOf(value)[0];
  return loc === undefined ? "" : ` (written at ${loc.file}:${loc.line}:${loc.column})`;
}

let ambient: Frame | undefined;
let ground: Frame | undefined;

/** The frame below all others: the eager one. */
export function setGround(frame: Frame): void {
  ground = frame;
}

export function currentFrame(): Frame {
  const frame = ambient ?? ground;
  if (frame === undefined) throw new Error("no frame: the eager frame is not installed");
  return frame;
}

/** The innermost trace, if one is going on. */
export function currentTrace(): TraceFrame | undefined {
  return ambient instanceof TraceFrame ? ambient : undefined;
}

/** Runs `body` with operations going to `frame`. */
export function inFrame<T>(frame: Frame | undefined, body: () => T): T {
  const outer = ambient;
  ambient = frame;
  try {
    return body();
  } finally {
    ambient = outer;
  }
}
