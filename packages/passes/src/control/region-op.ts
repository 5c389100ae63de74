/**
 * An op with regions, taken apart: what the passes on control flow change and put together again. Its regions take the
 * captures, then the carry, then a step's slices; here these go by name, so that no pass counts positions.
 */
import {
  type Attrs,
  Builder,
  type ControlForm,
  type Graph,
  type GraphResult,
  getOp,
  inlineGraph,
  isEffectful,
  type Node,
  type Param,
  type Value,
  type ValueType,
} from "@sinter/ir";

/** A value that is handed to the regions, and the name of the parameter that takes it. */
export interface Slot {
  readonly value: Value;
  readonly name: string;
}

export interface Slots {
  readonly captures: readonly Slot[];
  /** Empty for cond. */
  readonly init: readonly Slot[];
  /** Empty but for scan. */
  readonly xs: readonly Slot[];
}

export interface RegionOp extends Slots {
  readonly op: string;
  readonly form: ControlForm;
  readonly attrs: Attrs;
  /** The index of a cond. */
  readonly index: readonly Value[];
  readonly regions: readonly Graph[];
}

/** What the slots are inside a region. */
export interface Inside {
  readonly captures: readonly Value[];
  readonly init: readonly Value[];
  readonly xs: readonly Value[];
}

/** How the regions of an op run; undefined for ops without regions. */
export function controlForm(node: Node): ControlForm | undefined {
  const { nest } = getOp(node.op);
  return nest.kind === "control" ? nest.form : undefined;
}

/** It acts, or has such a node inside: it stays where it is. */
export function hasEffect(node: Node): boolean {
  return (
    isEffectful(
      getOp(node.op),
      node.operands,
      node.results.map((result) => result.type),
    ) || node.regions.some((region) => region.nodes.some(hasEffect))
  );
}

/** Items that stand for the operands of a node, by group. */
export function byGroup<T>(node: Node, items: readonly T[]) {
  const groups: Record<string, readonly T[]> = {};
  let start = 0;
  for (const { name, count } of node.groups) {
    groups[name] = items.slice(start, start + count);
    start += count;
  }
  const { index = [], captures = [], init = [], xs = [] } = groups;
  return { index, captures, init, xs };
}

/** A cond, while or scan on `operands`. */
export function takeApart(node: Node, form: ControlForm, operands: readonly Value[]): RegionOp {
  const { index, ...slots } = byGroup(node, operands);
  let next = 0;
  const named = (values: readonly Value[]): Slot[] =>
    values.map((value) => ({ value, name: node.regions[0]!.params[next++]!.name }));
  const [captures, init, xs] = [named(slots.captures), named(slots.init), named(slots.xs)];
  return { op: node.op, form, attrs: node.attrs, index, captures, init, xs, regions: node.regions };
}

export function putTogether(b: Builder, op: RegionOp): readonly Value[] {
  const values = (slots: readonly Slot[]): Value[] => slots.map((slot) => slot.value);
  const groups: Record<string, readonly Value[]> = { captures: values(op.captures) };
  if (op.form === "cond") groups["index"] = op.index;
  else groups["init"] = values(op.init);
  if (op.form === "scan") groups["xs"] = values(op.xs);
  return b.emitRegion(op.op, groups, op.attrs, op.regions);
}

/** Whether a region says only how long a loop goes on: its result is no carry. */
export function isTest(op: Pick<RegionOp, "form">, region: number): boolean {
  return op.form === "while" && region === 0;
}

/** The region that makes the results: a loop's body, or any branch. */
export function bodyOf(op: Pick<RegionOp, "regions">): Graph {
  return op.regions[op.regions.length - 1]!;
}

/** The parameters of a region, by group. */
export function paramsOf(op: Slots, region: Graph): Record<"captures" | "init" | "xs", readonly Param[]> {
  const [a, b] = [op.captures.length, op.captures.length + op.init.length];
  return { captures: region.params.slice(0, a), init: region.params.slice(a, b), xs: region.params.slice(b) };
}

export interface Rebinding {
  /** What the old slots are inside, in terms of the new ones. */
  readonly bind: (c: Builder, inside: Inside) => Inside;
  /** The new results of a region that is no test; the old ones where absent. */
  readonly results?: (c: Builder, results: readonly Value[]) => readonly Value[];
  /** Emits a region's nodes; all of them as they are where absent. */
  readonly emit?: (
    c: Builder,
    region: Graph,
    args: readonly Value[],
    inside: Inside,
    position: number,
  ) => readonly Value[];
}

/** The op on other slots: each region takes the new ones and works out the old ones from them. */
export function rebind(b: Builder, op: RegionOp, slots: Slots, { bind, results, emit }: Rebinding): RegionOp {
  const regions = op.regions.map((region, r) =>
    buildRegion(b, region.name, (c) => {
      const param = ({ value, name }: Slot): Value => addParam(c, value.type, name);
      const inside: Inside = {
        captures: slots.captures.map(param),
        init: slots.init.map(param),
        xs: slots.xs.map(({ value, name }) => addParam(c, sliceType(value.type), name)),
      };
      const old = bind(c, inside);
      const args = [...old.captures, ...old.init, ...old.xs];
      const made = emit === undefined ? inlineGraph(c, region, args) : emit(c, region, args, inside, r);
      return isTest(op, r) || results === undefined ? made : results(c, made);
    }),
  );
  return { ...op, ...slots, regions };
}

/** A graph with the settings of `b`, whose results are what `make` returns. */
export function buildRegion(b: Builder, name: string, make: (c: Builder) => readonly Value[]): Graph {
  const c = new Builder(name, { fastMath: b.fastMath });
  return c.finish(
    make(c).map((value): GraphResult => ({ kind: value.type.kind === "token" ? "token" : "out", value })),
  );
}

export function addParam(c: Builder, type: ValueType, name: string): Value {
  return c.param(type.kind === "token" ? "token" : "arg", type, name);
}

/** The type of one step's slice. */
export function sliceType(type: ValueType): ValueType {
  return type.kind === "token" ? type : { ...type, shape: type.shape.slice(1) };
}

export function keepWhere<T>(items: readonly T[], flags: readonly boolean[]): T[] {
  return items.filter((_, i) => flags[i]);
}

/** What became of an op: the op that stays, and for each old result the number of a new one, or a value outside. */
export interface Rewritten {
  readonly op: RegionOp;
  readonly results: readonly (number | Value)[];
}

/** The op with the same results. */
export function sameResults(op: RegionOp): Rewritten {
  return { op, results: bodyOf(op).results.map((_, i) => i) };
}
