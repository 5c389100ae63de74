/**
 * Ops with regions (call, customVjp, cond, while, scan): regions are closed graphs whose parameters the operand groups name. They
 * are typed and evaluated here; calculus and batching of them rebuild regions, which is the passes' work.
 */
import {
  type ControlForm,
  defineOp,
  demandsAll,
  type EvalRegions,
  type HostTensor,
  type NestRule,
  noBounds,
  type OpDef,
  type SampledOp,
} from "../define-op.ts";
import { allocate, isFloat } from "../dtype.ts";
import { sameShape } from "../emit.ts";
import { type Attrs, type Graph, type OperandGroup, type TensorType, tensorType, type ValueType } from "../graph.ts";
import { clamp, product } from "./host.ts";
import { describeType, fail, listed } from "./rules.ts";

type NoAttrs = Record<never, never>;

/** Items that belong to one named group of operands, whatever stands for an operand. */
export function groupOf<T>(items: readonly T[], groups: readonly OperandGroup[], name: string): readonly T[] {
  let start = 0;
  for (const group of groups) {
    if (group.name === name) return items.slice(start, start + group.count);
    start += group.count;
  }
  return [];
}

const describe = (type: ValueType): string => (type.kind === "token" ? "token" : describeType(type));
const describeAll = (types: readonly ValueType[]): string =>
  types.length === 0 ? "nothing" : listed(types.map(describe));

function sameTypes(a: readonly ValueType[], b: readonly ValueType[]): boolean {
  return (
    a.length === b.length &&
    a.every((s, i) => {
      const t = b[i]!;
      return s.kind === "tensor" && t.kind === "tensor"
        ? s.dtype === t.dtype && sameShape(s.shape, t.shape)
        : s.kind === t.kind;
    })
  );
}

const resultTypes = (region: Graph): ValueType[] => region.results.map((r) => r.value.type);

/** The region takes exactly these values. */
export function checkParams(op: string, what: string, region: Graph | undefined, given: readonly ValueType[]): Graph {
  if (region === undefined) fail(op, `has no ${what}`);
  const wanted = region.params.map((p) => p.value.type);
  if (!sameTypes(wanted, given))
    fail(op, `the ${what} takes ${describeAll(wanted)}, but is given ${describeAll(given)}`);
  return region;
}
export function checkResults(op: string, what: string, region: Graph, wanted: readonly ValueType[]): void {
  checkTypes(op, what, resultTypes(region), wanted);
}
function checkTypes(op: string, what: string, got: readonly ValueType[], wanted: readonly ValueType[]): void {
  if (!sameTypes(got, wanted))
    fail(op, `the ${what} must return ${describeAll(wanted)}, but returns ${describeAll(got)}`);
}
export function checkRegions(op: string, regions: readonly Graph[], count: number): void {
  if (regions.length !== count) fail(op, `takes ${count} region${count === 1 ? "" : "s"}, got ${regions.length}`);
}

/** What the passes do instead of asking the entry. */
function rebuilt(op: string, what: string): () => never {
  return () => {
    throw new Error(`${what} of ${op} rebuilds its regions and has no rule in the op's entry`);
  };
}

/** The fields that all ops with regions share. */
function regionFields<A extends Attrs>(op: ControlForm) {
  const nest: NestRule<A> = { kind: "control", form: op };
  return {
    effect: false,
    cost: () => 0,
    fold: [],
    derivative: {
      kind: "custom",
      vjp: rebuilt(op, "the derivative"),
      jvp: rebuilt(op, "the derivative"),
    },
    batch: rebuilt(op, "batching"),
    nest,
    ulp: 0,
    bounds: noBounds,
    demand: demandsAll,
    sample: (): SampledOp<A> => {
      throw new Error(`${op} has regions: the graph fuzzer makes them`);
    },
  } as const;
}

const callOp = defineOp<NoAttrs>({
  ...regionFields<NoAttrs>("call"),
  name: "call",
  doc: "The results of a graph applied to args.",
  attrs: {},
  groups: ["args"],
  type(operands, _, regions) {
    checkRegions("call", regions, 1);
    return resultTypes(checkParams("call", "function", regions[0], operands));
  },
  eval: (operands, _, __, regions) => regions.run(0, operands),
});

/** The types that have a derivative. */
const floats = (types: readonly ValueType[]): ValueType[] =>
  types.filter((type) => type.kind === "tensor" && isFloat(type.dtype));

const customVjpOp = defineOp<NoAttrs>({
  ...regionFields<NoAttrs>("call"),
  name: "customVjp",
  doc: "The results of the first graph applied to captures and args. Reverse mode runs the second instead, which also returns residuals, and the third on residuals and cotangents of float results; it returns cotangents of float args.",
  attrs: {},
  groups: ["captures", "args"],
  type(operands, _, regions, groups) {
    checkRegions("customVjp", regions, 3);
    const results = resultTypes(checkParams("customVjp", "function", regions[0], operands));
    const forward = resultTypes(checkParams("customVjp", "forward function", regions[1], operands));
    const residuals = forward.slice(results.length);
    checkTypes("customVjp", "forward function", forward.slice(0, results.length), results);
    const captures = groupOf(operands, groups, "captures");
    const given = [...captures, ...residuals, ...floats(results)];
    const backward = checkParams("customVjp", "backward function", regions[2], given);
    checkResults("customVjp", "backward function", backward, floats(groupOf(operands, groups, "args")));
    return results;
  },
  eval: (operands, _, __, regions) => regions.run(0, operands),
});

/** The branch that an index picks. */
function branchOf(index: HostTensor, regions: EvalRegions): number {
  return clamp(index.data[0]!, 0, regions.graphs.length - 1);
}

const condOp = defineOp<NoAttrs>({
  ...regionFields<NoAttrs>("cond"),
  name: "cond",
  doc: "The results of one of several graphs applied to captures: the one at a scalar index (bool: false is 0, true is 1), which clamps.",
  attrs: {},
  groups: ["index", "captures"],
  type(operands, _, regions, groups) {
    const [index] = groupOf(operands, groups, "index");
    if (index?.kind !== "tensor" || index.shape.length > 0 || (index.dtype !== "i32" && index.dtype !== "bool"))
      fail("cond", `the index must be a scalar i32 or bool, got ${index === undefined ? "nothing" : describe(index)}`);
    if (regions.length === 0 || (index.dtype === "bool" && regions.length !== 2))
      fail(
        "cond",
        `an index of ${index.dtype} picks out of ${index.dtype === "bool" ? 2 : "some"} branches, got ${regions.length}`,
      );
    const captures = groupOf(operands, groups, "captures");
    const results = resultTypes(regions[0]!);
    regions.forEach((region, i) => {
      checkParams("cond", `branch ${i}`, region, captures);
      checkResults("cond", `branch ${i}`, region, results);
    });
    return results;
  },
  eval: (operands, _, __, regions) =>
    regions.run(
      branchOf(groupOf(operands, regions.groups, "index")[0]!, regions),
      groupOf(operands, regions.groups, "captures"),
    ),
});

const boolScalar: TensorType = tensorType("bool", []);

/** `maxIterations`: a promise that the loop stops within so many rounds, for reverse mode; 0 or absent: not known. */
export type WhileAttrs = { readonly maxIterations?: number };

const whileOp = defineOp<WhileAttrs>({
  ...regionFields<WhileAttrs>("while"),
  name: "while",
  doc: "Carries init through the second graph for as long as the first gives true; both take captures, then the carry.",
  attrs: { maxIterations: "int" },
  groups: ["captures", "init"],
  type(operands, { maxIterations = 0 }, regions, groups) {
    checkRegions("while", regions, 2);
    if (!Number.isInteger(maxIterations) || maxIterations < 0)
      fail("while", `maxIterations must be a whole number, at least 0, got ${maxIterations}`);
    const init = groupOf(operands, groups, "init");
    const test = checkParams("while", "test", regions[0], operands);
    const body = checkParams("while", "body", regions[1], operands);
    checkResults("while", "test", test, [boolScalar]);
    checkResults("while", "body", body, init);
    return init;
  },
  eval(operands, _, __, regions) {
    const captures = groupOf(operands, regions.groups, "captures");
    let carry = groupOf(operands, regions.groups, "init");
    while (regions.run(0, [...captures, ...carry])[0]!.data[0]) carry = regions.run(1, [...captures, ...carry]);
    return carry;
  },
});

export type ScanAttrs = { readonly length: number; readonly reverse: boolean };

/** The type of one step's slice of `xs`. */
function stepType(type: ValueType, length: number): TensorType {
  if (type.kind !== "tensor" || type.shape[0] !== length)
    fail(
      "scan",
      `runs over ${length} steps, but one of xs is ${describe(type)}: its first axis must have ${length} elements`,
    );
  return tensorType(type.dtype, type.shape.slice(1));
}

const scanOp = defineOp<ScanAttrs>({
  ...regionFields<ScanAttrs>("scan"),
  name: "scan",
  doc: "Steps a graph along the first axis of xs (from the end where reverse): it takes captures, the carry and one slice of each of xs, and returns the new carry and slices to stack.",
  attrs: { length: "int", reverse: "bool" },
  groups: ["captures", "init", "xs"],
  type(operands, { length }, regions, groups) {
    checkRegions("scan", regions, 1);
    const [captures, init, xs] = [
      groupOf(operands, groups, "captures"),
      groupOf(operands, groups, "init"),
      groupOf(operands, groups, "xs"),
    ];
    const body = checkParams("scan", "body", regions[0], [...captures, ...init, ...xs.map((x) => stepType(x, length))]);
    const results = resultTypes(body);
    if (!sameTypes(results.slice(0, init.length), init))
      fail("scan", `the body must return the carry ${describeAll(init)} first, but returns ${describeAll(results)}`);
    return results.map((type, i) => {
      if (i < init.length) return type;
      if (type.kind !== "tensor") fail("scan", "an ordering token cannot be stacked");
      return tensorType(type.dtype, [length, ...type.shape]);
    });
  },
  eval(operands, { length, reverse }, types, regions) {
    const { groups } = regions;
    const [captures, xs] = [groupOf(operands, groups, "captures"), groupOf(operands, groups, "xs")];
    let carry = groupOf(operands, groups, "init");
    const stacked = types.slice(carry.length).map((type): HostTensor => {
      const shape = type.shape.map(Number);
      return { dtype: type.dtype, shape, data: allocate(type.dtype, product(shape)) };
    });
    for (let step = 0; step < length; step++) {
      const at = reverse ? length - 1 - step : step;
      const slices = xs.map((x): HostTensor => {
        const shape = x.shape.slice(1);
        return { dtype: x.dtype, shape, data: x.data.slice(at * product(shape), (at + 1) * product(shape)) };
      });
      const results = regions.run(0, [...captures, ...carry, ...slices]);
      const count = carry.length;
      carry = results.slice(0, count);
      results.slice(count).forEach((y, i) => {
        stacked[i]!.data.set(y.data, at * y.data.length);
      });
    }
    return [...carry, ...stacked];
  },
});

export const controlOps: readonly OpDef[] = [callOp, customVjpOp, condOp, whileOp, scanOp];
