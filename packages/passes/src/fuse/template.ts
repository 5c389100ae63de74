/**
 * The element functions: a value that has memory is read, any other is its rule applied to its operands' elements. A
 * template is one materialised value as loops over axes of its own, with reads of other values by value id.
 */
import {
  type Accumulator,
  type Axis,
  type AxisKind,
  axis,
  axisIndex,
  type Carry,
  type Combine,
  contractionOfAccumulators,
  type Dim,
  type IndexExpr,
  indexAxes,
  type Range,
  type ScalarExpr,
  scalarAcc,
  scalarCarry,
  scalarConst,
  subIndex,
  visitAtoms,
  visitScalar,
} from "@sinter/ir";
import { type GraphModel, infoOf, readValue, type ValueInfo } from "./model.ts";

export type TemplateKind = "map" | "reduce" | "cumulate" | "update" | "library" | "host" | "control";

/**
 * One materialised value: loops of its own, everything that is not materialised substituted. Of a `library`, `host` or `control`
 * value it says only what it reads, all of it; the loops are the op's, or its regions'.
 */
export interface Template {
  readonly id: number;
  /** Position of the node that makes the value. */
  readonly node: number;
  readonly kind: TemplateKind;
  /** Independent axes: those of the result, but for `cumulate` (the stepped axis is the tail) and `update` (none). */
  readonly par: readonly Axis[];
  /** `reduce`: folded axes; `cumulate`: the stepped one; `update`: the domain. */
  readonly tail: readonly Axis[];
  readonly accumulators: readonly Accumulator[];
  readonly carries: readonly Carry[];
  readonly value: ScalarExpr;
  readonly index: readonly IndexExpr[];
  readonly combine?: Combine;
  readonly guard?: readonly Range[];
  /** A matrix product: one sum of products whose factors vary along different result axes. */
  readonly contraction: boolean;
  readonly reads: readonly TemplateRead[];
  /** Positions of all nodes whose work is in it, its own among them. */
  readonly work: ReadonlySet<number>;
}
/** A read of another value. `atEnd`: outside the accumulators of a reduction. */
export interface TemplateRead {
  readonly id: number;
  readonly index: readonly IndexExpr[];
  readonly atEnd: boolean;
}

/** The element of an operand: by operand position of the value whose rule runs. */
export type Element = (id: number, index: readonly IndexExpr[]) => ScalarExpr;

const parNames = ["i", "j", "k", "l", "m", "n"];
const redNames = ["r", "s", "t", "u"];

export function newAxes(dims: readonly (number | IndexExpr)[], kind: AxisKind): Axis[] {
  const names = kind === "par" ? parNames : redNames;
  return dims.map((extent, i) => axis(names[i] ?? `${names[0]}${i}`, extent, kind));
}

/** Applies the rule of a map value. */
export function applyMap(info: ValueInfo, index: readonly IndexExpr[], element: Element): ScalarExpr {
  const { rule, ctx } = info;
  if (rule?.kind !== "map" || ctx === undefined) throw new Error(`${info.label} is not computed element by element`);
  return rule.value(ctx, index, (operand, ix) => element(info.operands[operand]!, ix), info.result);
}

/** Runs the rule of a value that becomes loops, on new axes. */
export function makeTemplate(
  info: ValueInfo,
  element: Element,
  work: ReadonlySet<number> = new Set(info.work),
): Template {
  const { rule, ctx } = info;
  if (rule === undefined) throw new Error(`${info.label} is not computed`);
  if (rule.kind === "control" || rule.kind === "library" || rule.kind === "host")
    return opaqueTemplate(info, rule.kind, work);
  if (ctx === undefined) throw new Error(`${info.label} takes what is no tensor`);
  const read = (operand: number, ix: readonly IndexExpr[]): ScalarExpr => element(info.operands[operand]!, ix);
  const parts: Omit<Template, "reads"> = (() => {
    const base = {
      id: info.id,
      node: info.node,
      kind: rule.kind,
      accumulators: [],
      carries: [],
      contraction: false,
      work,
    } as const;
    switch (rule.kind) {
      case "map": {
        const par = newAxes(info.type.shape, "par");
        const index = par.map(axisIndex);
        return { ...base, par, tail: [], value: applyMap(info, index, element), index };
      }
      case "reduce": {
        const par = newAxes(info.type.shape, "par");
        const tail = newAxes(rule.red(ctx), "red");
        const index = par.map(axisIndex);
        const accumulators = rule.accumulators(ctx, index, tail.map(axisIndex), read);
        const value = rule.value(
          ctx,
          (a, component) => scalarAcc(accumulators[a]!.values[component]!.dtype, a, component),
          info.result,
        );
        const found = contractionOfAccumulators([...par, ...tail], accumulators);
        const contraction = found !== undefined && found.m.length > 0 && found.n.length > 0;
        return { ...base, par, tail, accumulators, value, index, contraction };
      }
      case "cumulate": {
        const stepped = rule.axis(ctx);
        const par: Axis[] = [];
        const tail: Axis[] = [];
        const index = info.type.shape.map((extent, i) => {
          const made = axis(i === stepped ? "s" : (parNames[i] ?? `i${i}`), extent, i === stepped ? "seq" : "par");
          (i === stepped ? tail : par).push(made);
          return axisIndex(made);
        });
        if (rule.reverse(ctx)) index[stepped] = backwards(info.type.shape[stepped]!, index[stepped]!);
        const dtype = info.type.dtype;
        const step = rule.step(ctx, index, (slot) => scalarCarry(dtype, slot), read);
        return { ...base, par, tail, carries: step.carries, value: step.value, index };
      }
      case "update": {
        // In order where several points may write one element: the last writer wins, and folds keep their sequence.
        let tail = newAxes(rule.domain(ctx), "seq");
        let store = rule.store(ctx, tail.map(axisIndex), read);
        if (store.combine === undefined && isInjective(store.index, tail)) {
          tail = newAxes(rule.domain(ctx), "par");
          store = rule.store(ctx, tail.map(axisIndex), read);
        }
        return {
          ...base,
          par: [],
          tail,
          value: store.value,
          index: store.index,
          ...(store.combine === undefined ? {} : { combine: store.combine }),
          ...(store.guard === undefined ? {} : { guard: store.guard }),
        };
      }
      default:
        return rule satisfies never;
    }
  })();
  return { ...parts, reads: readsOf(parts) };
}

function opaqueTemplate(info: ValueInfo, kind: "library" | "host" | "control", work: ReadonlySet<number>): Template {
  const reads = info.operands.map((id) => ({ id, index: [], atEnd: false }));
  const value = scalarConst(info.type.dtype, 0);
  const nothing = { par: [], tail: [], accumulators: [], carries: [], index: [], contraction: false };
  return { id: info.id, node: info.node, kind, ...nothing, value, reads, work };
}

function backwards(extent: Dim, index: IndexExpr): IndexExpr {
  return subIndex(subIndex(extent, 1), index);
}

/** Whether different points certainly write different elements: each axis alone moves one component. */
function isInjective(index: readonly IndexExpr[], axes: readonly Axis[]): boolean {
  const free = new Set(axes.filter((a) => a.extent !== 1).map((a) => a.id));
  for (const ix of index) {
    const moved = [...indexAxes(ix)];
    if (moved.length === 0) continue;
    const term = ix.terms.find((t) => t.atom.kind === "axis" && t.atom.axis.id === moved[0]);
    if (moved.length > 1 || term === undefined || !free.delete(moved[0]!)) return false;
    const others = ix.terms.filter((t) => t !== term);
    if (others.some((t) => indexAxes({ ...ix, terms: [t] }).size > 0)) return false;
  }
  return free.size === 0;
}

/** The values inside positions that come out of data. */
export function dataInside(index: readonly IndexExpr[]): ScalarExpr[] {
  const out: ScalarExpr[] = [];
  for (const ix of index)
    visitAtoms(ix, (atom) => {
      if (atom.kind === "dyn") out.push(atom.value);
    });
  return out;
}

export function readsOf(parts: Omit<Template, "reads">): TemplateRead[] {
  const reads: TemplateRead[] = [];
  const collect = (roots: readonly ScalarExpr[], atEnd: boolean): void => {
    const seen = new Set<ScalarExpr>();
    const known = new Set<string>();
    for (const root of roots)
      visitScalar(
        root,
        (node) => {
          if (node.kind !== "read") return;
          const key = `${node.buffer}[${node.index.map((ix) => ix.key).join(",")}]`;
          if (known.has(key)) return;
          known.add(key);
          reads.push({ id: node.buffer, index: node.index, atEnd });
        },
        seen,
      );
  };
  const inner = [
    ...parts.accumulators.flatMap((a) => a.values),
    ...parts.carries.flatMap((c) => [c.init, c.next]),
    ...dataInside(parts.index),
    ...(parts.guard === undefined ? [] : dataInside(parts.guard.map((g) => g.index))),
  ];
  collect(inner, false);
  collect([parts.value], parts.kind === "reduce");
  return reads;
}

/** Templates of all materialised values. `materialised` says which values have memory. */
export function makeTemplates(model: GraphModel, materialised: ReadonlySet<number>): Map<number, Template> {
  const out = new Map<number, Template>();
  for (const id of [...materialised].sort((a, b) => a - b)) {
    const memo = new Map<string, ScalarExpr>();
    const work = new Set(infoOf(model, id).work);
    const element: Element = (value, index) => {
      const info = infoOf(model, value);
      if (info.node < 0 || info.data !== undefined || materialised.has(value)) return readValue(info, index);
      const key = `${value}@${index.map((ix) => ix.key).join(",")}`;
      let made = memo.get(key);
      if (made === undefined) {
        made = applyMap(info, index, element);
        for (const node of info.work) work.add(node);
        memo.set(key, made);
      }
      return made;
    };
    out.set(id, makeTemplate(infoOf(model, id), element, work));
  }
  return out;
}
