/** `range`: numbers to loop over, whose bounds may be tensors where the loop is staged. */
import { DTypeError, describe, describeValue, ShapeError, SinterError, TraceError } from "../errors.ts";
import { VariableCell } from "../frame.ts";
import { Tensor, type TensorLike } from "../tensor.ts";

/** `start`, `start + step`, ... before `stop`. Iterating gives JavaScript numbers. */
export class Range implements Iterable<number> {
  declare readonly "~sinter": "range";
  readonly start: number | Tensor | VariableCell;
  readonly stop: number | Tensor | VariableCell;
  readonly step: number;

  /** Not for direct use: `range()` makes ranges. */
  constructor(start: number | Tensor | VariableCell, stop: number | Tensor | VariableCell, step: number) {
    this.start = start;
    this.stop = stop;
    this.step = step;
  }

  /** How many numbers there are. Throws where a bound is a tensor without a value. */
  get length(): number {
    const [start, stop] = [known("start", this.start), known("stop", this.stop)];
    return Math.max(0, Math.ceil((stop - start) / this.step));
  }

  *[Symbol.iterator](): Iterator<number> {
    const { length, step } = this;
    const start = known("start", this.start);
    for (let i = 0; i < length; i++) yield start + i * step;
  }
}

/** A bound as a number. */
function known(argument: string, value: number | Tensor | VariableCell): number {
  if (typeof value === "number") return value;
  if (value instanceof Tensor && !isTraced(value)) return Number(value.item());
  throw new TraceError(
    `range: ${argument} is ${value instanceof VariableCell ? `the variable ${value.name}` : `the tensor ${describe(value)}`}, whose value is known only when the program runs. ` +
      "Looping over it needs transformed code (the sinter/vite plugin, node --import sinter/register, or sinter autograph build); without it write fori(start, stop, body, init).",
  );
}

function isTraced(value: Tensor): boolean {
  return value.ref("range").kind === "traced";
}

/**
 * The whole numbers from 0 to before `n`; or from `start` to before `stop`, `step` apart (1 unless said; not 0). A loop over
 * them in transformed code with tensors in its body is staged: it is one loop in the program, however many rounds. Bounds
 * may be integer scalars there.
 */
export function range(n: TensorLike): Range;
export function range(start: TensorLike, stop: TensorLike, step?: number): Range;
export function range(first: TensorLike, second?: TensorLike, step = 1): Range {
  if (!Number.isInteger(step) || step === 0)
    throw new SinterError(`range: step must be a whole number other than 0, not ${describeValue(step)}`);
  return second === undefined
    ? new Range(0, checkBound("n", first), step)
    : new Range(checkBound("start", first), checkBound("stop", second), step);
}

function checkBound(argument: string, value: TensorLike): number | Tensor | VariableCell {
  if (typeof value === "number") {
    if (Number.isInteger(value)) return value;
    throw new DTypeError(`range: ${argument} must be an integer, not ${value}`);
  }
  if (!(value instanceof Tensor) && !(value instanceof VariableCell))
    throw new DTypeError(`range: ${argument} must be an integer or an integer scalar, not ${describeValue(value)}`);
  if (value.dtype !== "i32" && value.dtype !== "u32")
    throw new DTypeError(
      `range: ${argument} is ${describe(value)}, but must be an integer scalar; .cast("i32") if it is whole`,
    );
  if (value.shape.some((size) => size !== 1))
    throw new ShapeError(`range: ${argument} is ${describe(value)}, but must be one integer`);
  return value;
}
