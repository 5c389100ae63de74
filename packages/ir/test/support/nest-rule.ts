/** One op as a nest program of its own, made from nothing but its nest rule: what checks the rule against `eval`. */

import type { Attrs } from "../../src/index.ts";
import {
  type AxisKind,
  axis,
  axisIndex,
  type BufferDecl,
  type Dim,
  evalNests,
  expressionScope,
  type HostTensor,
  type IndexExpr,
  type Kernel,
  type Nest,
  type NestContext,
  type NestProgram,
  type NestRule,
  type NestStep,
  type Read,
  type ScalarExpr,
  type Store,
  scalarAcc,
  scalarCarry,
  scalarRead,
  subIndex,
  type TensorType,
  tensorType,
} from "../../src/index.ts";

const axesOf = (shape: readonly Dim[], kind: AxisKind) => shape.map((size, i) => axis(`${kind}${i}`, size, kind));

function checked(value: ScalarExpr, type: TensorType): ScalarExpr {
  if (value.dtype !== type.dtype) throw new Error(`the nest rule gives ${value.dtype} for a result of ${type.dtype}`);
  return value;
}

function build(rule: NestRule<Attrs>, ctx: NestContext<Attrs>, target: (result: number) => number): Nest[] {
  const read: Read = (operand, index) => scalarRead(ctx.operands[operand]!.dtype, operand, index);
  const type = ctx.results[0]!;
  const plain = { accumulators: [], carries: [] };
  switch (rule.kind) {
    case "map":
      return ctx.results.map((result, r) => {
        const axes = axesOf(result.shape, "par");
        const index = axes.map(axisIndex);
        const value = checked(rule.value(ctx, index, read, r), result);
        return { axes, ...plain, stores: [{ buffer: target(r), index, value, when: "body" }] };
      });
    case "reduce": {
      const [par, red] = [axesOf(type.shape, "par"), axesOf(rule.red(ctx), "red")];
      const index = par.map(axisIndex);
      const accumulators = rule.accumulators(ctx, index, red.map(axisIndex), read);
      const acc = (a: number, c: number): ScalarExpr => scalarAcc(c === 1 ? "i32" : accumulators[a]!.dtype, a, c);
      const stores = ctx.results.map((result, r): Store => {
        const value = checked(rule.value(ctx, acc, r), result);
        return { buffer: target(r), index, value, when: "end" };
      });
      return [{ axes: [...par, ...red], accumulators, carries: [], stores }];
    }
    case "cumulate": {
      const along = rule.axis(ctx);
      const par = axesOf(type.shape, "par").filter((_, i) => i !== along);
      const seq = axis("seq", type.shape[along]!, "seq");
      const step = axisIndex(seq);
      const at: IndexExpr = rule.reverse(ctx) ? subIndex(subIndex(seq.extent, 1), step) : step;
      const index = par.map(axisIndex);
      index.splice(along, 0, at);
      const carry = (slot: number): ScalarExpr => scalarCarry(type.dtype, slot);
      const { carries, value } = rule.step(ctx, index, carry, read);
      const stores: Store[] = [{ buffer: target(0), index, value: checked(value, type), when: "body" }];
      return [{ axes: [...par, seq], accumulators: [], carries, stores }];
    }
    case "update": {
      const axes = axesOf(rule.domain(ctx), "seq");
      const store = rule.store(ctx, axes.map(axisIndex), read);
      checked(store.value, type);
      return [{ axes, ...plain, stores: [{ buffer: target(0), when: "body", ...store }] }];
    }
    case "library":
    case "control":
    case "host":
      throw new Error(`a rule of kind ${rule.kind} has no nests`);
    default:
      return rule satisfies never;
  }
}

/** The results of an op by its nest rule alone. */
export function evalNestRule(
  rule: NestRule<Attrs>,
  attrs: Attrs,
  operands: readonly HostTensor[],
  results: readonly TensorType[],
): HostTensor[] {
  return expressionScope(() => {
    const types = operands.map((x) => tensorType(x.dtype, x.shape));
    const buffers = [...types, ...results].map((type, id): BufferDecl => {
      const kind = id < types.length ? "arg" : "result";
      return { id, name: `b${id}`, ...type, kind, slot: kind === "arg" ? id : id - types.length };
    });
    const target = (result: number): number => types.length + result;
    const ctx = { attrs, operands: types, results };
    const kernels: Kernel[] =
      rule.kind === "library"
        ? [
            {
              kind: "library",
              name: "k0",
              loops: rule.build(ctx, "k0"),
              args: buffers.map((b) => b.id),
              writes: results.map((_, r) => target(r)),
            },
          ]
        : rule.kind === "host"
          ? []
          : build(rule, ctx, target).map((nest, i) => ({ kind: "nests", name: `k${i}`, outer: [], nests: [nest] }));
    const steps = kernels.map((kernel): NestStep => ({ kind: "kernel", kernel, nodes: [] }));
    if (rule.kind === "host")
      steps.push({
        kind: "host",
        call: rule.call(ctx),
        operands: operands.map((_, i) => i),
        results: results.map((_, r) => target(r)),
        nodes: [],
      });
    if (rule.kind === "update") steps.unshift({ kind: "copy", from: 0, to: target(0) });
    const program: NestProgram = { name: "rule", buffers, steps, notes: [] };
    const data = evalNests(
      program,
      operands.map((x) => x.data),
    );
    return results.map((type, r) => ({ dtype: type.dtype, shape: type.shape.map(Number), data: data[r]! }));
  });
}
