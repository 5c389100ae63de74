/** Branches: `if`, the conditional expression, and the logical operators. Plain conditions keep JavaScript's meaning. */
import type { Loc } from "@sinter/ir";
import { emitCond, inlineBlock, traceBlock } from "../control/blocks.ts";
import { currentTrace } from "../frame.ts";
import { emit, run } from "../kit.ts";
import type { Ref, Traced } from "../lazy.ts";
import { Tensor } from "../tensor.ts";
import { isWeak } from "../weak.ts";
import { type Arm, diverge, inArm, type State, traceArm, U } from "./arm.ts";
import { handle } from "./leaf.ts";
import { Merger, type Sides } from "./merge.ts";
import { placeText, within } from "./staging-error.ts";
import { isTensorLike, truthOf, truthRef } from "./truth.ts";

type Get = () => unknown[];
type Set = (values: unknown[]) => void;

/** `if (condition) then(); else otherwise()` */
export function if_(
  loc: Loc,
  condition: unknown,
  then: () => void,
  otherwise: (() => void) | null,
  get: Get,
  set: Set,
  names: readonly string[],
  live: number,
): void {
  const taken = typeof condition === "boolean" ? condition : truthOf(loc, "the condition of the if", condition);
  if (taken === true) then();
  else if (taken === false) otherwise?.();
  else stageBranches(loc, "if", taken, then, otherwise ?? nothing, { get, set, names, live });
}

/** `condition ? then() : otherwise()` */
export function cond_<T, E>(
  loc: Loc,
  condition: unknown,
  then: () => T,
  otherwise: () => E,
  get: Get,
  set: Set,
  names: readonly string[],
  live: number,
): T | E {
  const taken =
    typeof condition === "boolean" ? condition : truthOf(loc, "the condition of the conditional expression", condition);
  if (taken === true) return then();
  if (taken === false) return otherwise();
  const state = { get, set, names, live };
  return stageBranches<T | E>(loc, "conditional expression", taken, then, otherwise, state) as T | E;
}

function nothing(): void {}

/** Traces both arms and emits one operation. Gives what the arms give, merged. */
function stageBranches<T>(
  loc: Loc,
  what: "if" | "conditional expression",
  condition: Traced,
  then: () => T,
  otherwise: () => T,
  state: State,
): unknown {
  const before = state.get();
  const article = `the ${what}`;
  const sides = ["the then-branch", "the else-branch"] as const;
  try {
    const arm = (side: 0 | 1, start: readonly unknown[], body: () => T): Arm<T> =>
      traceArm(`${sides[side]} of ${article}`, loc, state, [], () => start, body);
    const clear = flagsOf.get(condition);
    const start = clear === undefined ? before : before.map((value) => (clear.includes(value) ? false : value));
    const arms = [restored(arm(0, start, then), start, before), arm(1, before, otherwise)] as const;
    const merged = emitBranches(
      { loc, construct: `a staged ${what}`, names: sides, blocks: [arms[0].block, arms[1].block], condition },
      arms,
      state,
    );
    state.set(merged === undefined ? before : [...merged.values, ...before.slice(state.live)]);
    if (merged === undefined && inArm()) diverge(undefined);
    return merged?.result;
  } catch (error) {
    state.set(before);
    throw error;
  }
}

/** Where an arm left a flag as it knew it to be, it is the flag still. */
function restored<T>(arm: Arm<T>, start: readonly unknown[], before: readonly unknown[]): Arm<T> {
  if (start === before || arm.ended === undefined) return arm;
  const kept = (value: unknown, i: number): boolean => value === false && start[i] === false;
  const values = arm.ended.values.map((value, i) => (kept(value, i) ? before[i] : value));
  return { ...arm, ended: { ...arm.ended, values } };
}

/** The values of the live variables after the arms; undefined where both throw. */
function emitBranches<T>(
  sides: Sides,
  [then, otherwise]: readonly [Arm<T>, Arm<T>],
  { names, live }: State,
): { readonly values: readonly unknown[]; readonly result: unknown } | undefined {
  const merger = new Merger(sides);
  const frame = currentTrace()!;
  frame.at({ ...sides.loc, name: sides.construct.replace("a staged ", "") });
  const merge = (name: string, of: (ended: NonNullable<Arm<T>["ended"]>) => unknown) =>
    merger.merge(name, then.ended ? of(then.ended) : U, otherwise.ended ? of(otherwise.ended) : U);
  const values = names.slice(0, live).map((name, i) => merge(name, (ended) => ended.values[i]));
  const result = merge("the value of the expression", (ended) => ended.result);
  const [a, b] = sides.blocks;
  const results = emitCond(frame.lift(sides.condition), [b, a], [merger.outs[1], merger.outs[0]]);
  frame.tag(sides.loc);
  if (then.ended === undefined && otherwise.ended === undefined) return undefined;
  return { values: values.map((value) => value(results)), result: result(results) };
}

/**
 * `left && right()`: the operands themselves where they are plain or numbers of the source (`count || 1`), a bool scalar
 * where one is symbolic.
 */
export function and(loc: Loc, left: unknown, right: () => unknown): unknown {
  return logical(loc, "&&", left, right);
}

/** `left || right()` */
export function or(loc: Loc, left: unknown, right: () => unknown): unknown {
  return logical(loc, "||", left, right);
}

function logical(loc: Loc, operator: "&&" | "||", left: unknown, right: () => unknown): unknown {
  const isAnd = operator === "&&";
  if (!isTensorLike(left)) return (isAnd ? left : !left) ? right() : left;
  const truth = truthOf(loc, `the left side of ${operator}`, left);
  if (typeof truth === "boolean") return truth === isAnd ? right() : truth;
  const staged = stageLogical(loc, isAnd, truth, right, isWeak(left as object));
  return staged === undefined ? chooseNumber(loc, isAnd, left as Tensor, right) : handle(staged, true);
}

/** As JavaScript has it for numbers: one of the operands. A boolean on the left stands for 0 or 1. */
function chooseNumber(loc: Loc, isAnd: boolean, left: Tensor, right: () => unknown): unknown {
  const itself = (): unknown => (left.dtype === "bool" ? (isAnd ? 0 : 1) : left);
  const [then, otherwise] = isAnd ? [right, itself] : [itself, right];
  return cond_(loc, left, then, otherwise, () => [], nothing, [], 0);
}

function isNumber(value: unknown): boolean {
  return typeof value === "number" || (value instanceof Tensor && isWeak(value) && value.dtype !== "bool");
}

/**
 * The right side belongs to an arm where it does more than compute: where it assigns variables, or runs a loop. Undefined
 * where it is a number beside one of the source's numbers or booleans (`weak`): then the truth is not what is asked for.
 */
function stageLogical(loc: Loc, isAnd: boolean, left: Traced, right: () => unknown, weak: boolean): Ref | undefined {
  const operator = isAnd ? "&&" : "||";
  const what = `right side of ${operator}`;
  const { block, result } = within(`the ${what}`, loc, () =>
    traceBlock(`${what} at ${placeText(loc)}`, [], () => {
      const value = right();
      if (weak && isNumber(value)) return undefined;
      const truth = truthOf(loc, `the ${what}`, value);
      currentTrace()!.tag(loc);
      return truthRef(truth);
    }),
  );
  if (result === undefined) return undefined;
  const frame = currentTrace()!;
  frame.at({ ...loc, name: operator });
  const graph = block.frame.builder.finish([{ kind: "out", value: block.frame.lift(result).value }]);
  const assigns = [...block.frame.states.values()].some((use) => use.now.value !== use.entry.value);
  const value = (): Ref => {
    if (!assigns && graph.nodes.every((node) => node.regions.length === 0))
      return emit(operator === "&&" ? "and" : "or", [left, inlineBlock(block, [result], [])[0]!]);
    const skipped = traceBlock(`left side of ${operator} at ${placeText(loc)}`, [], () => truthRef(!isAnd));
    const branches = isAnd ? [skipped, { block, result }] : [{ block, result }, skipped];
    return emitCond(
      frame.lift(left),
      branches.map((branch) => branch.block),
      branches.map((branch) => [branch.result]),
    )[0]!;
  };
  const ref = value();
  frame.tag(loc);
  const clear = flagsOf.get(left);
  if (isAnd && clear !== undefined) flagsOf.set(ref, clear);
  return ref;
}

/** `!value` */
export function not(loc: Loc, value: unknown): unknown {
  if (!isTensorLike(value)) return !value;
  const truth = truthOf(loc, "the operand of !", value);
  if (typeof truth === "boolean") return !truth;
  currentTrace()!.at({ ...loc, name: "!" });
  return handle(emit("not", [truth]), true);
}

/** Flags that are known to be false where a condition holds. */
const flagsOf = new WeakMap<Ref, readonly unknown[]>();

/** Whether no flag is set. */
export function none(...flags: readonly unknown[]): unknown {
  const open = flags.filter((flag) => flag !== false);
  if (open.length === 0) return true;
  if (open.includes(true)) return false;
  const known = open as readonly Tensor[];
  const out = run("a staged jump", () => {
    const any = known.map((flag) => flag.ref("a staged jump")).reduce((a, b) => emit("or", [a, b]));
    return emit("not", [any]);
  });
  flagsOf.set(out, known);
  return handle(out, true);
}
