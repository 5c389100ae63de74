/**
 * Where operations go: the ambient frame. Eagerly they join the pending graph; inside `compile`, `grad` and their like
 * they join the graph being traced. A trace frame is sealed when its trace ends, and one that failed leaves no trace.
 */
import {
  type Attrs,
  Builder,
  type DType,
  type Graph,
  type GraphResult,
  type HostTensor,
  type Loc,
  typeOf,
  type Value,
} from "@sinter/ir";
import { TraceError } from "./errors.ts";
import type { Lazy, Ref, Traced } from "./lazy.ts";

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
  /** Its eager value now. */
  abstract current(): Lazy;
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
  readonly param: number;
  readonly entry: Traced;
  now: Traced;
}

let nextId = 0;

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
  /** Whether variables may be made now, and if not, why. */
  readonly creation: "allowed" | "forbidden";
  /** How a root frame takes in an eager value; nested frames capture everything as it is. */
  private readonly adopt: ((lazy: Lazy) => HostTensor | undefined) | undefined;
  private readonly captured = new Map<Lazy | Value, Traced>();
  private params = 0;
  sealed = false;

  constructor(
    name: string,
    parent: Frame,
    options: {
      readonly fastMath?: boolean;
      readonly creation?: "allowed" | "forbidden";
      readonly adopt?: (lazy: Lazy) => HostTensor | undefined;
    } = {},
  ) {
    this.name = name;
    this.parent = parent;
    this.builder = new Builder(name, { fastMath: options.fastMath ?? false });
    this.creation = options.creation ?? "forbidden";
    this.adopt = options.adopt;
  }

  argument(dtype: DType, shape: readonly number[], name: string): Traced {
    this.params++;
    return this.own(this.builder.param("arg", { kind: "tensor", dtype, shape }, name));
  }

  emit(op: string, operands: readonly Ref[], attrs: Attrs = {}): Traced {
    this.checkOpen();
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

  /** The value that stands for `ref` in this frame. */
  lift(ref: Ref): Traced {
    if (ref.kind === "traced" && ref.owner === this) return ref;
    const key = ref.kind === "lazy" ? ref : ref.value;
    const known = this.captured.get(key);
    if (known !== undefined) return known;
    if (ref.kind === "traced") this.checkAncestor(ref);
    const traced = this.capture(ref);
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
      const type = { kind: "tensor", dtype: variable.dtype, shape: variable.shape } as const;
      // Names that count up over the process would make a program of its own for each copy of a model.
      const name = variable.named ? variable.name : `variable_${this.states.size}`;
      const entry = this.builder.param("state", type, name);
      const own = this.own(entry);
      use = { variable, param: this.params++, entry: own, now: own };
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

  private capture(ref: Ref): Traced {
    if (ref.kind === "lazy") {
      const folded = this.adopt?.(ref);
      if (folded !== undefined) return this.own(this.builder.constant(folded));
    }
    const type = { kind: "tensor", dtype: ref.dtype, shape: ref.shape } as const;
    const value = this.builder.param("const", type, `c${this.captures.length}`);
    const own = this.own(value);
    this.captures.push({ ref, param: this.params++, own });
    return own;
  }

  own(value: Value): Traced {
    const { dtype, shape } = typeOf(value);
    return { kind: "traced", owner: this, value, dtype, shape: shape as readonly number[] };
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

/** The error for a tensor that outlived its trace. */
export function finishedTrace(ref: Traced): TraceError {
  const owner = ref.owner as TraceFrame;
  return new TraceError(
    `a tensor ${ref.dtype}[${ref.shape.join(",")}] from the finished trace of ${owner.name} was used outside it: ` +
      "it has no value of its own. Return it from the function, or keep it in a variable().",
  );
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
