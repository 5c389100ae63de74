/**
 * Loop-invariant code motion: work in a loop that depends on captures alone is done once, before the loop. What moves is
 * the largest invariant value, where that saves work: reductions, contractions and other loops always do; elementwise
 * work does unless what it reads is smaller than what it makes and it is cheap, since then reading it back each round
 * costs more than making it. Index maps, constants and positions stay, over sources that move. Effects never move, and
 * out of a while, which may run no round, nothing moves that may not end.
 */
import type { Builder, Graph, Node, Value } from "@sinter/ir";
import { elementsOf, isFree, mapCost, muchWork } from "./free.ts";
import {
  controlForm,
  hasEffect,
  isTest,
  type RegionOp,
  type Rewritten,
  rebind,
  type Slot,
  sameResults,
} from "./region-op.ts";

/** Values so small that reading them costs as much as anything. */
const fewElements = 16;

export function hoistInvariants(b: Builder, op: RegionOp): Rewritten | undefined {
  if (op.form !== "while" && op.form !== "scan") return undefined;
  const plans = op.regions.map((region, r) =>
    new Invariants(region, op.captures.length, op.form === "scan" ? op.attrs["length"] !== 0 : isTest(op, r)).chosen(),
  );
  if (plans.every((plan) => plan.size === 0)) return undefined;
  const hoisted: Slot[] = [];
  const inside = op.regions.map((region, r) => {
    const at = new Map<Value, number>();
    for (const [value, outside] of emitOutside(b, region, op.captures, plans[r]!)) {
      at.set(value, op.captures.length + hoisted.length);
      hoisted.push({ value: outside, name: "invariant" });
    }
    return at;
  });
  return sameResults(
    rebind(
      b,
      op,
      { ...op, captures: [...op.captures, ...hoisted] },
      {
        bind: (_, given) => ({ ...given, captures: given.captures.slice(0, op.captures.length) }),
        emit(c, region, args, given, r) {
          const values: Value[] = [...args];
          for (const [value, position] of inside[r]!) values[value.id] = given.captures[position]!;
          region.nodes.forEach((node, i) => {
            if (plans[r]!.has(node)) return;
            c.at(region.debug.locs[i]);
            const operands = node.operands.map((operand) => values[operand.id]!);
            const made = c.emitNode(node.op, operands, node.attrs, node.regions, node.groups);
            node.results.forEach((result, k) => {
              values[result.id] = made[k]!;
            });
          });
          return region.results.map((result) => values[result.value.id]!);
        },
      },
    ),
  );
}

/** Emits the chosen nodes, and what they need, before the loop; what their results are there. */
function emitOutside(
  b: Builder,
  region: Graph,
  captures: readonly Slot[],
  chosen: ReadonlySet<Node>,
): readonly (readonly [Value, Value])[] {
  const maker = makers(region);
  const values = new Map<Value, Value>();
  for (const [i, slot] of captures.entries()) values.set(region.params[i]!.value, slot.value);
  const outside = (value: Value): Value => {
    const known = values.get(value);
    if (known !== undefined) return known;
    const { node, position } = maker.get(value)!;
    const operands = node.operands.map(outside);
    b.at(region.debug.locs[position]);
    const made = b.emitNode(node.op, operands, node.attrs, node.regions, node.groups);
    for (const [k, result] of node.results.entries()) values.set(result, made[k]!);
    return values.get(value)!;
  };
  return [...chosen].flatMap((node) => node.results.map((result) => [result, outside(result)] as const));
}

interface Maker {
  readonly node: Node;
  readonly position: number;
}

function makers(region: Graph): ReadonlyMap<Value, Maker> {
  return new Map(
    region.nodes.flatMap((node, position) => node.results.map((result) => [result, { node, position }] as const)),
  );
}

/** The invariant part of a region, and which of its nodes are worth moving. */
class Invariants {
  private readonly region: Graph;
  private readonly maker: ReadonlyMap<Value, Maker>;
  private readonly invariant = new Set<Value>();
  /** Captures and results of loops that the varying part reads at each round in any case. */
  private readonly readAnyway = new Set<Value>();
  /** `runs`: the region runs at least once, so that what it does may be done before. */
  constructor(region: Graph, captureCount: number, runs: boolean) {
    this.region = region;
    this.maker = makers(region);
    for (const param of region.params.slice(0, captureCount)) this.invariant.add(param.value);
    for (const node of region.nodes)
      if (node.operands.every((operand) => this.invariant.has(operand)) && !hasEffect(node) && (runs || ends(node)))
        for (const result of node.results) this.invariant.add(result);
    for (const value of this.frontier()) this.markRead(value);
  }

  /** The nodes to move. */
  chosen(): ReadonlySet<Node> {
    const chosen = new Set<Node>();
    const seen = new Set<Value>();
    const want = (value: Value): void => {
      const node = this.maker.get(value)?.node;
      if (node === undefined || seen.has(value)) return;
      seen.add(value);
      if (this.isWorthMoving(node, value)) chosen.add(node);
      else node.operands.forEach(want);
    };
    this.frontier().forEach(want);
    return chosen;
  }

  /** Invariant values that varying nodes, or the results, use. */
  private frontier(): readonly Value[] {
    const used = this.region.nodes
      .filter((node) => !node.results.some((result) => this.invariant.has(result)))
      .flatMap((node) => node.operands);
    return [...used, ...this.region.results.map((result) => result.value)].filter((value) => this.invariant.has(value));
  }

  private markRead(value: Value): void {
    const node = this.maker.get(value)?.node;
    if (node === undefined || !isFree(node, value)) this.readAnyway.add(value);
    else for (const operand of node.operands) this.markRead(operand);
  }

  private isWorthMoving(node: Node, value: Value): boolean {
    if (isFree(node, value)) return false;
    if (mapCost(node, value) === undefined) return true;
    let work = 0;
    let read = 0;
    const seen = new Set<Value>();
    const visit = (operand: Value, most: number): void => {
      if (seen.has(operand)) return;
      seen.add(operand);
      const made = this.maker.get(operand)?.node;
      const cost = made === undefined ? undefined : mapCost(made, operand);
      const size = Math.min(most, elementsOf(operand));
      if (made === undefined || cost === undefined) {
        if (!this.readAnyway.has(operand)) read += size;
        return;
      }
      work += cost * elementsOf(operand);
      // An index map reads no more than it makes; positions and small constants are not read at all.
      const limit = isFree(made, operand) ? size : Number.POSITIVE_INFINITY;
      for (const next of made.operands) visit(next, limit);
    };
    visit(value, Number.POSITIVE_INFINITY);
    const size = elementsOf(value);
    return work > 0 && (size <= Math.max(read, fewElements) || work >= muchWork * size);
  }
}

/** Whether it is known to stop: a while is not. */
function ends(node: Node): boolean {
  return controlForm(node) !== "while" && node.regions.every((region) => region.nodes.every(ends));
}
