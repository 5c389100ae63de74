/**
 * `for (const item of items) body`. Over a range or the rows of a tensor it is one operation of the program being traced;
 * over anything else the rounds run one by one, and those after a staged jump only where it was not taken.
 */
import type { Loc } from "@sinter/ir";
import { Range } from "../control/range.ts";
import { knownDim } from "../dims.ts";
import { describe } from "../errors.ts";
import { currentTrace, VariableCell } from "../frame.ts";
import { add, cast, emit, reshape, scalar } from "../kit.ts";
import type { Ref } from "../lazy.ts";
import { at } from "../lib/indexing.ts";
import { Tensor } from "../tensor.ts";
import { type State, startsUnset } from "./arm.ts";
import { if_ } from "./branch.ts";
import { handle } from "./leaf.ts";
import { valueText } from "./merge.ts";
import { type Extra, emitStagedScan, emitStagedWhile, isNumbersOnly, traceLoop } from "./staged-loop.ts";
import { placeText, StagingError } from "./staging-error.ts";
import { isSymbolic, tensorOf, truthOf, truthRef } from "./truth.ts";
import { Unrolling } from "./unroll.ts";

const what = "for-of loop";

/** What a loop does, whatever it runs over. */
interface Loop {
  readonly loc: Loc;
  readonly body: (item: unknown) => void;
  /** Goes on while true; null where nothing leaves the loop early. */
  readonly exits: (() => unknown) | null;
  readonly state: State;
}

export function forOf_(
  loc: Loc,
  items: unknown,
  body: (item: unknown) => void,
  exits: (() => unknown) | null,
  get: () => unknown[],
  set: (values: unknown[]) => void,
  names: readonly string[],
  live: number,
): void {
  const loop: Loop = { loc, body, exits, state: { get, set, names, live } };
  if (items instanceof Tensor || items instanceof VariableCell) overRows(loop, tensorOf(items));
  else if (items instanceof Range) overRange(loop, items);
  else if (isIterable(items)) oneByOne(loop, items);
  else throw new TypeError(`${valueText(items)} is not iterable ${placeText(loc)}`);
}

function isIterable(items: unknown): items is Iterable<unknown> {
  return typeof items === "string" || (typeof items === "object" && items !== null && Symbol.iterator in items);
}

/** Whether the loop goes on after a round. */
function goesOn({ loc, exits }: Loop, going: unknown): boolean {
  return exits === null || truthOf(loc, flag, going) !== false;
}

const flag = "the flag of a jump";

function oneByOne(loop: Loop, items: Iterable<unknown>): void {
  const { loc, body, exits, state } = loop;
  const unrolling = new Unrolling(loc);
  let going: unknown = true;
  for (const item of items) {
    if (going === true) body(item);
    else if_(loc, going, () => body(item), null, state.get, state.set, state.names, state.live);
    unrolling.round();
    going = exits === null ? true : exits();
    if (!goesOn(loop, going)) return;
  }
}

function* rowsOf(items: Tensor): Generator<Tensor> {
  for (let i = 0; i < items.shape[0]!; i++) yield at(items, i);
}

function overRows(loop: Loop, items: Tensor): void {
  const { loc, body, exits, state } = loop;
  if (items.rank === 0)
    throw new StagingError(
      `a ${what} runs over the rows of a tensor, but it is given the scalar ${describe(items)}; for numbers write range(n)`,
      loc,
    );
  if (currentTrace() === undefined) {
    oneByOne(loop, rowsOf(items));
    return;
  }
  const length = knownDim(what, items.dims[0]!, `the number of rows of ${describe(items)}`);
  const from = startsUnset(state) ? 1 : 0;
  if (from > 0 && length > 0) {
    body(at(items, 0));
    if (!goesOn(loop, exits?.())) return;
  }
  if (length <= from) return;
  if (exits !== null) {
    stageCounted(loop, { start: from, stop: length, step: 1, rounds: length - from }, (i) => body(at(items, i)));
    return;
  }
  const rest = from === 0 ? items : at(items, [from, null]);
  const row: Extra = {
    type: { dtype: items.dtype, shape: items.dims.slice(1), name: "row" },
    weak: false,
    carried: false,
  };
  const traced = traceLoop(loc, what, state, [row], ([slice]) => {
    body(slice);
    return [];
  });
  emitStagedScan(traced, [], [rest.ref("a loop")], length - from);
}

function overRange(loop: Loop, { start, stop, step }: Range): void {
  const { body, state } = loop;
  const [from, to] = [boundOf(start), boundOf(stop)];
  if (typeof from !== "number" || typeof to !== "number") {
    stageCounted(loop, { start: from, stop: to, step }, body);
    return;
  }
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (currentTrace() === undefined) oneByOne(loop, numbers(from, step, length));
  else if (length > 0 && !startsUnset(state)) overNumbers(loop, from, step, length);
  else if (length > 0) {
    body(from);
    if (length > 1 && goesOn(loop, loop.exits?.())) overNumbers(loop, from + step, step, length - 1);
  }
}

function overNumbers(loop: Loop, start: number, step: number, length: number): void {
  const { loc, body, exits, state } = loop;
  if (exits !== null) {
    stageCounted(loop, { start, stop: start + step * length, step, rounds: length }, body);
    return;
  }
  const traced = traceLoop(loc, what, state, [counter], ([now]) => {
    body(now);
    return [next(now!, step)];
  });
  if (isNumbersOnly(traced)) oneByOne(loop, numbers(start, step, length));
  else emitStagedScan(traced, [scalar("i32", start)], [], length);
}

function* numbers(start: number, step: number, length: number): Generator<number> {
  for (let i = 0; i < length; i++) yield start + i * step;
}

const counter: Extra = { type: { dtype: "i32", shape: [], name: "i" }, weak: true, carried: true };

function next(now: Tensor, step: number): Ref {
  return add(now.ref("a counter"), scalar("i32", step));
}

/** A bound as a number where it is known now, else as an i32 scalar. */
function boundOf(bound: number | Tensor | VariableCell): number | Tensor {
  if (typeof bound === "number") return bound;
  const tensor = tensorOf(bound);
  if (!isSymbolic(tensor)) return Number(tensor.item());
  return handle(cast(reshape(tensor.ref("range"), []), "i32"), true);
}

interface Count {
  readonly start: number | Tensor;
  readonly stop: number | Tensor;
  readonly step: number;
  /** Where it is known how many these are. */
  readonly rounds?: number;
}

/** A loop with a counter whose end only the run tells. */
function stageCounted(loop: Loop, { start, stop, step, rounds }: Count, body: (i: Tensor) => void): void {
  const { loc, exits, state } = loop;
  const bound = (value: number | Tensor): Ref =>
    typeof value === "number" ? scalar("i32", value) : value.ref("range");
  const traced = traceLoop(loc, what, state, [counter], ([now]) => {
    body(now!);
    return [next(now!, step)];
  });
  const test = ([now]: readonly Tensor[]): Tensor => {
    const inside = emit(step > 0 ? "lt" : "gt", [now!.ref("a counter"), bound(stop)]);
    const going = exits === null ? true : truthOf(loc, flag, exits());
    return handle(going === true ? inside : emit("and", [inside, truthRef(going)]), true);
  };
  emitStagedWhile(traced, [counter], [bound(start)], test, rounds);
}
