/**
 * Loops over whole tensors that are loops of each element on its own: `while (k < 100 && alive.any())` with updates
 * `where(alive, next, z)`, and a scalar loop under vmap, become `elementLoop`, which is one kernel instead of a loop of
 * kernels. A loop of scalars is one of a single element.
 *
 * Why it may. Let the loop go on while the scalar conditions C hold and some element of the mask M does.
 * 1. All that is carried is elementwise in shape S of M, or rank 0 and made of rank-0 values alone: so element e of round
 *    r depends on element e of round r - 1 and on r, not on other elements. (`Elements` sees to it.)
 * 2. M depends on nothing of rank 0 that is carried, and where one of the conditions that make up M is false, the body
 *    returns all carried elements as they were: the builder folds it to that. So an element for which M fails stays as it
 *    is, M fails for it in all later rounds, and nothing it computes meanwhile matters, the counters it reads included.
 * 3. So element e changes in rounds 0 .. n(e) - 1 only, where n(e) is the first round in which C or M(e) fails, and in
 *    those rounds both hold: the body may take them for granted, and rank-0 values are in step with it.
 * 4. The loop over tensors ends after the largest n(e), since until then some element goes on. A rank-0 value that is used
 *    after the loop follows from that number: an integer counter is start + step * n, anything else is run again, alone.
 *    Where S has no element no mask holds and no round takes place; without a mask nobody would know how many do.
 */
import {
  Builder,
  emit,
  type Graph,
  type Loc,
  type Node,
  rebuild,
  sizeOf,
  tensorType,
  toIndex,
  typeOf,
  type Value,
  valueName,
} from "@sinter/ir";
import { controlForm } from "../control/region-op.ts";
import { type Condition, conditionsOf, conjuncts, withoutSmallConds } from "./conditions.ts";
import { findDerived } from "./derived.ts";
import {
  type Carry,
  Elements,
  graphOf,
  Refusal,
  refuse,
  type Seen,
  sameElements,
  shapeText,
  withoutOnes,
} from "./elements.ts";
import { LoopWriter } from "./write.ts";

export interface ElementLoopOptions {
  readonly fastMath?: boolean;
  /** Called for each loop that stays as it is, with its name in the printed graph and the reason. */
  readonly onRefusal?: (loop: string, reason: string) => void;
}

/**
 * The graph with the loops that allow it made loops of elements, at all depths. Parameters and results stay as they are.
 * Run it last of the passes on graphs: derivatives and batching take `while`.
 */
export function findElementLoops(graph: Graph, options: ElementLoopOptions = {}): Graph {
  if (!graph.nodes.some((node) => node.regions.length > 0)) return graph;
  const used = new Set<Value>(graph.results.map((r) => r.value));
  for (const node of graph.nodes) for (const operand of node.operands) used.add(operand);
  const settings = { fastMath: options.fastMath ?? false };
  // What was emitted for a loop in vain is used by nothing, so it is gone in the end.
  return rebuild(
    graph,
    (node, b, operands) => {
      if (node.regions.length === 0) return undefined;
      const regions = node.regions.map((region) => findElementLoops(region, options));
      if (controlForm(node) === "while") {
        try {
          const locs = graph.debug.locs[graph.nodes.indexOf(node)];
          return convert(b, { ...node, regions }, operands, locs, (i) => used.has(node.results[i]!));
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          options.onRefusal?.(`${valueName(graph, node.results[0]!)} ${node.op}`, error.message);
        }
      }
      return b.emitNode(node.op, operands, node.attrs, regions, node.groups);
    },
    settings,
  );
}

/** The results of a `while` as those of a loop of elements. Throws `Refusal`. */
function convert(
  b: Builder,
  node: Node,
  operands: readonly Value[],
  locs: readonly Loc[] | undefined,
  isUsed: (result: number) => boolean,
): Value[] {
  const [test, body] = node.regions.map(withoutSmallConds) as [Graph, Graph];
  const captureCount = operands.length - node.results.length;
  const { scalars, masks } = conditionsOf(test);
  if (masks.length > 1) refuse("it goes on while any element of each of several masks is set");
  const [mask] = masks;
  const changing = node.results.flatMap((result, i) => (isFixed(body, captureCount, i) ? [] : [typeOf(result).shape]));
  const whole = changing.find((dims) => dims.length > 0) ?? (mask === undefined ? [] : typeOf(mask.value).shape);
  // Of one element there is nothing to be out of step with.
  const single = withoutOnes(whole).length === 0;
  const shape = single ? [] : whole;
  for (const dims of changing)
    if (dims.length > 0 && !sameElements(dims, shape))
      refuse(`it carries values of shape ${shapeText(shape)} and of shape ${shapeText(dims)}`);
  if (mask !== undefined && !sameElements(typeOf(mask.value).shape, shape))
    refuse(
      `it carries values of shape ${shapeText(shape)} beside a mask of shape ${shapeText(typeOf(mask.value).shape)}`,
    );

  const inner = new Builder("element", { fastMath: b.fastMath });
  const elements = new Elements(b, inner, shape);
  const carries: Carry[] = [];
  const seen = operands.map((value, i): Seen => {
    const position = i - captureCount;
    if (position < 0 || isFixed(body, captureCount, position)) return { outer: value };
    const { dtype, shape: own } = typeOf(value);
    const param = inner.param("arg", tensorType(dtype, []), `x${position}`);
    carries.push({ position, init: elements.operand(value), param, scalar: own.length === 0 && !single });
    return { element: param, given: param };
  });

  const conditions = readConditions(elements, test, seen, scalars, mask, carries);
  const roots = carries.map(({ position }) => body.results[position]!.value);
  const bodyGiven = (
    facts: readonly Condition[],
  ): { readonly known: ReadonlyMap<Value, Value>; readonly next: Value[] } => {
    const known = new Map<Value, Value>();
    for (const fact of facts) assume(inner, known, fact);
    const settle = elements.evaluate(body, seen, roots, known);
    return { known, next: roots.map((root) => elements.given(settle(root), known)) };
  };

  // Where an element is done it stays as it is.
  for (const condition of conditions.own) {
    const { known, next } = bodyGiven([{ ...condition, holds: !condition.holds }]);
    for (const [i, carry] of carries.entries())
      if (!carry.scalar && next[i] !== at(known, carry.param))
        refuse(`carried value ${carry.position} changes where the mask is false`);
  }
  const holding = [...conditions.own, ...conditions.common];
  let { next } = bodyGiven(holding);
  inner.at(locs);
  let goes = conjunction(inner, [...conditions.common, ...conditions.own]);

  const finals = carries.filter((carry) => carry.scalar && isUsed(carry.position));
  if (finals.length > 0 && mask === undefined && toIndex(sizeOf(shape)).lo === 0)
    refuse(`it counts rounds beside values of shape ${shapeText(shape)}, of which there may be no element`);
  const last = finals.length > 0 ? undefined : lastRound(conditions, carries, next, isUsed, bodyGiven);
  if (last !== undefined) {
    ({ next } = bodyGiven([...holding, last.goesOn]));
    goes = emit.and(inner, goes, last.goesOn.value);
  }
  const derived = findDerived(b, elements, carries, next, isUsed);
  if (last !== undefined) derived.set(last.flag, graphOf(elements, [elements.element({ outer: last.flag.init })]));
  b.at(locs);
  const loop = new LoopWriter(b, elements, { carries, next, goes, derived });
  const results = loop.emit(shape, finals.length > 0);
  const out: Value[] = node.results.map((_, i) => operands[captureCount + i]!);
  for (const [i, { position, scalar }] of loop.carries.entries())
    if (!scalar) out[position] = emit.reshape(b, results[i]!, typeOf(node.results[position]!).shape);
  if (finals.length > 0) {
    const rounds = emit.reduce(
      b,
      "max",
      results[loop.carries.length]!,
      shape.map((_, i) => i),
    );
    for (const [position, value] of loop.finals(finals, rounds)) out[position] = value;
  }
  return out;
}

/**
 * A mask that is carried and looked at after it is set: `alive = alive.and(t); z = where(alive, next, z)`. The round in
 * which it falls changes nothing else, so the loop may as well end before: while `t`, with the mask as it was.
 */
function lastRound(
  conditions: ElementConditions,
  carries: readonly Carry[],
  next: readonly Value[],
  isUsed: (result: number) => boolean,
  bodyGiven: (facts: readonly Condition[]) => { readonly next: readonly Value[] },
): { readonly flag: Carry; readonly goesOn: Condition } | undefined {
  for (const { value, holds } of conditions.own) {
    const i = carries.findIndex((carry) => holds && carry.param === value);
    const flag = carries[i];
    if (flag === undefined || isUsed(flag.position) || next[i] === value) continue;
    const goesOn = { value: next[i]!, holds: true };
    const after = bodyGiven([...conditions.own, ...conditions.common, { ...goesOn, holds: false }]).next;
    const still = carries.every((carry, j) => j === i || carry.scalar || after[j] === carry.param);
    if (still) return { flag, goesOn };
  }
  return undefined;
}

/** Whether a carried value never changes. */
function isFixed(body: Graph, captureCount: number, position: number): boolean {
  return body.results[position]!.value === body.params[captureCount + position]!.value;
}

const at = (known: ReadonlyMap<Value, Value>, value: Value): Value => known.get(value) ?? value;

interface ElementConditions {
  /** The same for all elements. */
  readonly common: readonly Condition[];
  /** Of each element on its own. */
  readonly own: readonly Condition[];
}

/** The conditions on single elements. */
function readConditions(
  elements: Elements,
  test: Graph,
  seen: readonly Seen[],
  scalars: readonly Condition[],
  mask: Condition | undefined,
  carries: readonly Carry[],
): ElementConditions {
  const { inner } = elements;
  const all = mask === undefined ? scalars : [...scalars, mask];
  const settle = elements.evaluate(
    test,
    seen,
    all.map((c) => c.value),
  );
  const split = (c: Condition): Condition[] =>
    conjuncts({ value: elements.element(settle(c.value)), holds: c.holds }, (value) => inner.definition(value));
  const common = scalars.flatMap(split);
  const own: Condition[] = [];
  for (const condition of mask === undefined ? [] : split(mask)) {
    const sources = sourcesOf(inner, condition.value);
    const counters = carries.filter((carry) => carry.scalar && sources.has(carry.param));
    const fixed = [...elements.captures].some(([from, param]) => sources.has(param) && typeOf(from).shape.length > 0);
    const moves = carries.some((carry) => !carry.scalar && sources.has(carry.param));
    if (fixed || moves) {
      if (counters.length > 0) refuse("the mask depends on a scalar that changes: elements that are done might go on");
      own.push(condition);
    } else common.push(condition);
  }
  return { common, own };
}

/** The parameters that a value depends on. */
function sourcesOf(b: Builder, root: Value): ReadonlySet<Value> {
  const seen = new Set<Value>([root]);
  for (const value of seen) for (const operand of b.definition(value)?.operands ?? []) seen.add(operand);
  return seen;
}

/** Takes note of what a condition makes known of the values that it consists of. */
function assume(b: Builder, known: Map<Value, Value>, { value, holds }: Condition): void {
  if (b.constantOf(value) !== undefined) return;
  known.set(value, b.scalar("bool", holds ? 1 : 0));
  const made = b.definition(value);
  if (made?.op === "not") assume(b, known, { value: made.operands[0]!, holds: !holds });
  if (made?.op === (holds ? "and" : "or")) for (const part of made.operands) assume(b, known, { value: part, holds });
}

function conjunction(b: Builder, conditions: readonly Condition[]): Value {
  const values = conditions.map(({ value, holds }) => (holds ? value : emit.not(b, value)));
  return values.length === 0 ? b.scalar("bool", 1) : values.reduce((x, y) => emit.and(b, x, y));
}
