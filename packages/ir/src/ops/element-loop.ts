/**
 * `elementLoop`: each element of a shape runs a loop of its own, to its own end. Its regions are graphs on single
 * elements, made of scalar ops; so to fusion it is a map like any elementwise op, whose value is a loop in the payload.
 */
import { defineOp, demandsAll, type HostTensor, type NestContext, noBounds, type SampledOp } from "../define-op.ts";
import { sameShape } from "../emit.ts";
import { type Graph, type OperandGroup, type TensorType, tensorType } from "../graph.ts";
import type { Dim, ScalarExpr } from "../nest/expr.ts";
import {
  assumedRounds,
  loopIdOf,
  type ScalarLoop,
  scalarApply,
  scalarConst,
  scalarLoop,
  scalarLoopVar,
} from "../nest/scalar-expr.ts";
import { isScalarOp, scalarOps } from "../scalar-ops.ts";
import { checkParams, checkRegions, checkResults, groupOf } from "./control.ts";
import { hostTensor, staticShape } from "./host.ts";
import { describeShape, describeType, fail, tensors } from "./rules.ts";

export type ElementLoopAttrs = { readonly shape: readonly Dim[] };
type Context = NestContext<ElementLoopAttrs>;

const name = "elementLoop";
const elementOf = (type: TensorType): TensorType => tensorType(type.dtype, []);
const convertsOrLoops: ReadonlySet<string> = new Set(["cast", "bitcast", "const", name]);

/** Whether an op, all of whose operands and results are scalars, may stand in a region of `elementLoop`. */
export function isElementOp(op: string): boolean {
  return isScalarOp(op) || convertsOrLoops.has(op);
}

function checkElements(what: string, region: Graph): void {
  for (const node of region.nodes) {
    const types = [...node.operands, ...node.results].map((v) => v.type);
    if (!isElementOp(node.op)) fail(name, `the ${what} has ${node.op}, which is no operation on single elements`);
    for (const type of types)
      if (type.kind === "tensor" && type.shape.length > 0)
        fail(name, `the ${what} works on single elements, but has ${describeType(type)}`);
  }
}

/** Work of one round, or of writing it out. */
function workOf(region: Graph): number {
  let work = 0;
  for (const { op, regions } of region.nodes) {
    work += isScalarOp(op) ? scalarOps[op].cost : 1;
    for (const inner of regions) work += workOf(inner) * assumedRounds;
  }
  return work;
}

/** The results of a region on elements; `place` tells loops inside it apart. */
function apply(region: Graph, args: readonly ScalarExpr[], place: string): ScalarExpr[] {
  const values: ScalarExpr[] = [...args];
  for (const [i, { op, operands, attrs, regions, results, groups }] of region.nodes.entries()) {
    const given = operands.map((v) => values[v.id]!);
    const inner = op === name ? loopOf(regions, groups, given, `${place} ${i}`) : undefined;
    results.forEach((result, r) => {
      const { dtype } = result.type as TensorType;
      if (inner !== undefined) values[result.id] = scalarLoop(inner, r);
      else if (op === "const") values[result.id] = scalarConst(dtype, Number((attrs["data"] as ArrayLike<number>)[0]));
      else values[result.id] = scalarApply(op, given, dtype);
    });
  }
  return region.results.map((result) => values[result.value.id]!);
}

/** `place` is the same for all results of one node, and another for any other that might be in the same expression. */
function loopOf(
  regions: readonly Graph[],
  groups: readonly OperandGroup[],
  operands: readonly ScalarExpr[],
  place: string,
): ScalarLoop {
  const [test, body] = regions as readonly [Graph, Graph];
  const loopId = loopIdOf(place);
  const init = groupOf(operands, groups, "init");
  const args = [
    ...groupOf(operands, groups, "captures"),
    ...init.map((x, slot) => scalarLoopVar(x.dtype, loopId, slot)),
  ];
  const [goes] = apply(test, args, `${place} test`);
  return { loopId, limit: Infinity, init, test: goes!, next: apply(body, args, `${place} body`) };
}

export const elementLoopOp = defineOp<ElementLoopAttrs>({
  name,
  doc: "Each element on its own: carries init through the second graph for as long as the first gives true; both take single elements of captures, then of the carry. Operands have the shape or rank 0.",
  attrs: { shape: "dims" },
  groups: ["captures", "init"],
  effect: false,
  cost: ({ regions = [] }) => regions.reduce((sum, region) => sum + workOf(region), 0) * assumedRounds,
  type(operands, { shape }, regions, groups) {
    checkRegions(name, regions, 2);
    const types = tensors(name, operands, operands.length);
    for (const type of types)
      if (type.shape.length > 0 && !sameShape(type.shape, shape))
        fail(name, `runs for each element of ${describeShape(shape)}, but takes ${describeType(type)}`);
    const elements = types.map(elementOf);
    const init = groupOf(elements, groups, "init");
    const test = checkParams(name, "test", regions[0], elements);
    const body = checkParams(name, "body", regions[1], elements);
    checkResults(name, "test", test, [tensorType("bool", [])]);
    checkResults(name, "body", body, init);
    checkElements("test", test);
    checkElements("body", body);
    return init.map(({ dtype }) => tensorType(dtype, shape));
  },
  eval(operands, { shape }, types, regions) {
    const count = groupOf(operands, regions.groups, "captures").length;
    const at = (offset: number): HostTensor[] =>
      operands.map((x) => hostTensor(x.dtype, [], () => x.data[x.shape.length === 0 ? 0 : offset]!));
    const results = types.map(({ dtype }) => hostTensor(dtype, staticShape(shape), () => 0));
    results[0]?.data.forEach((_, offset) => {
      const args = at(offset);
      const captures = args.slice(0, count);
      let carry: readonly HostTensor[] = args.slice(count);
      while (regions.run(0, [...captures, ...carry])[0]!.data[0]) carry = regions.run(1, [...captures, ...carry]);
      carry.forEach((x, i) => {
        results[i]!.data[offset] = x.data[0]!;
      });
    });
    return results;
  },
  fold: [],
  // Made of `while` when calculus and batching are over.
  derivative: { kind: "none", reason: "loops are differentiated as while, before they become loops of elements" },
  batch() {
    throw new Error("loops are batched as while, before they become loops of elements");
  },
  nest: {
    kind: "map",
    value({ operands, regions = [], groups = [], node = 0 }: Context, index, read, result) {
      const elements = operands.map((type, i) => read(i, type.shape.length === 0 ? [] : index));
      return scalarLoop(loopOf(regions, groups, elements, `${node}`), result);
    },
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample: (): SampledOp<ElementLoopAttrs> => {
    throw new Error(`${name} has regions: the fuzzer of element loops makes them`);
  },
});
