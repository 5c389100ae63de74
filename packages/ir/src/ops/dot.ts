/** The contraction: every matrix product, batched product and einsum of two operands is one `dot` and movement. */
import { type DerivativeContext, defineOp, demandsAll, type Emitter, noBounds, type OpDef } from "../define-op.ts";
import { isFloat, roundTo } from "../dtype.ts";
import { type DotDims, dot, moveAxis, otherAxes, range, rankOf, transpose } from "../emit.ts";
import { type TensorType, tensorType, type Value } from "../graph.ts";
import type { Dim } from "../nest/expr.ts";
import { sameIndex, sizeOf, toIndex } from "../nest/index-algebra.ts";
import { scalarApply } from "../nest/scalar-expr.ts";
import { eachIndex, hostOf, offsetOf } from "./host.ts";
import { behindBatch, checkAxes, describeDim, describeType, fail, tensors } from "./rules.ts";
import { numericDType, plain, shuffled } from "./sampling.ts";

export type DotAttrs = {
  readonly batch: readonly (readonly number[])[];
  readonly contract: readonly (readonly number[])[];
};

/** The axes of both operands by role. */
interface Roles {
  readonly batch: readonly [readonly number[], readonly number[]];
  readonly contract: readonly [readonly number[], readonly number[]];
  /** Axes that only one operand has, ascending. */
  readonly free: readonly [readonly number[], readonly number[]];
}

function rolesOf(attrs: DotDims, ranks: readonly [number, number]): Roles {
  const pair = (lists: readonly (readonly number[])[]): readonly [readonly number[], readonly number[]] => [
    lists[0] ?? [],
    lists[1] ?? [],
  ];
  const [batch, contract] = [pair(attrs.batch), pair(attrs.contract)];
  const free = (side: 0 | 1): number[] => otherAxes(ranks[side], [...batch[side], ...contract[side]]);
  return { batch, contract, free: [free(0), free(1)] };
}
const typeRoles = (attrs: DotDims, x: TensorType, y: TensorType): Roles =>
  rolesOf(attrs, [x.shape.length, y.shape.length]);

/** The index of one operand from the result's index and the contracted axes' index. */
function operandIndex<T>(roles: Roles, side: 0 | 1, result: readonly T[], contracted: readonly T[]): T[] {
  const out: T[] = [];
  const { batch, contract, free } = roles;
  batch[side].forEach((axis, i) => {
    out[axis] = result[i]!;
  });
  const before = batch[0].length + (side === 1 ? free[0].length : 0);
  free[side].forEach((axis, i) => {
    out[axis] = result[before + i]!;
  });
  contract[side].forEach((axis, i) => {
    out[axis] = contracted[i]!;
  });
  return out;
}

function checkDot(x: TensorType, y: TensorType, attrs: DotDims): Dim[] {
  if (x.dtype !== y.dtype || x.dtype === "bool")
    fail("dot", `takes two operands of one numeric dtype, got ${describeType(x)} and ${describeType(y)}`);
  const roles = typeRoles(attrs, x, y);
  for (const [what, [left, right]] of [
    ["batch", roles.batch],
    ["contracted", roles.contract],
  ] as const) {
    if (left.length !== right.length)
      fail(
        "dot",
        `${what} axes [${left.join(", ")}] of the left and [${right.join(", ")}] of the right differ in number`,
      );
    left.forEach((axis, i) => {
      const [m, n] = [x.shape[axis], y.shape[right[i]!]];
      if (m !== undefined && n !== undefined && !sameIndex(m, n))
        fail(
          "dot",
          `${what} axis ${axis} of ${describeType(x)} has ${describeDim(m)} elements, axis ${right[i]} of ${describeType(y)} has ${describeDim(n)}`,
        );
    });
  }
  checkAxes("dot", [...roles.batch[0], ...roles.contract[0]], x, "left axis");
  checkAxes("dot", [...roles.batch[1], ...roles.contract[1]], y, "right axis");
  return [
    ...roles.batch[0].map((axis) => x.shape[axis]!),
    ...roles.free[0].map((axis) => x.shape[axis]!),
    ...roles.free[1].map((axis) => y.shape[axis]!),
  ];
}

/** The cotangent of one operand is a contraction of the result's with the other operand, its axes put back in place. */
function dotTranspose(b: Emitter, ct: Value, { operands, attrs }: DerivativeContext<DotAttrs>, wrt: number): Value {
  const [x, y] = [operands[0]!, operands[1]!];
  const { batch, contract, free } = rolesOf(attrs, [rankOf(x), rankOf(y)]);
  const batches = range(batch[0].length);
  const left = free[0].map((_, i) => batches.length + i);
  const right = free[1].map((_, i) => batches.length + left.length + i);
  const ascending = (list: readonly number[]): number[] => [...list].sort((p, q) => p - q);
  /** Axes of operand `to`, in the order of the contracted axes of operand `from`, which the product keeps ascending. */
  const partners = (from: 0 | 1, to: 0 | 1): number[] =>
    ascending(contract[from]).map((axis) => contract[to][contract[from].indexOf(axis)]!);
  // `order[i]` is the operand's axis that axis i of the product stands for.
  const [product, order] =
    wrt === 0
      ? [
          dot(b, ct, y, { batch: [batches, batch[1]], contract: [right, free[1]] }),
          [...batch[0], ...free[0], ...partners(1, 0)],
        ]
      : [
          dot(b, x, ct, { batch: [batch[0], batches], contract: [free[0], left] }),
          [...batch[1], ...partners(0, 1), ...free[1]],
        ];
  return transpose(
    b,
    product,
    range(order.length).map((axis) => order.indexOf(axis)),
  );
}

const dotOp = defineOp<DotAttrs>({
  name: "dot",
  doc: "Sum of products over the contracted axes; the result has the batch axes, then the left's others, then the right's.",
  attrs: { batch: "intLists", contract: "intLists" },
  groups: [],
  effect: false,
  cost: ({ attrs, operands: [x, y] }) =>
    2 * toIndex(sizeOf(typeRoles(attrs, x!, y!).contract[0].map((axis) => x!.shape[axis]!))).hi,
  type(operands, attrs) {
    const [x, y] = tensors("dot", operands, 2);
    return [tensorType(x!.dtype, checkDot(x!, y!, attrs))];
  },
  // Sums in float64 and rounds once, so that every order of summation is about as far from it.
  eval([x, y], attrs, [type]) {
    const roles = rolesOf(attrs, [x!.shape.length, y!.shape.length]);
    const contracted = roles.contract[0].map((axis) => x!.shape[axis]!);
    const float = isFloat(x!.dtype);
    const [first, origin] = [contracted.map(() => 0), type!.shape.map(() => 0)];
    /** How far the elements of a sum lie from the first one. */
    const steps = ([x!, y!] as const).map(({ shape }, side) => {
      const offsets: number[] = [];
      eachIndex(contracted, (k) => offsets.push(offsetOf(shape, operandIndex(roles, side as 0 | 1, origin, k))));
      return offsets;
    });
    const [xSteps, ySteps] = steps as [number[], number[]];
    return [
      hostOf(type!, (index) => {
        const atX = offsetOf(x!.shape, operandIndex(roles, 0, index, first));
        const atY = offsetOf(y!.shape, operandIndex(roles, 1, index, first));
        let sum = 0;
        for (let k = 0; k < xSteps.length; k++) {
          const [p, q] = [x!.data[atX + xSteps[k]!]!, y!.data[atY + ySteps[k]!]!];
          sum = float ? sum + p * q : roundTo(x!.dtype, sum + Math.imul(p, q));
        }
        return sum;
      }),
    ];
  },
  fold: [],
  derivative: { kind: "multilinear", transpose: dotTranspose },
  batch(b, { operands, batched, attrs }) {
    const [x, y] = [operands[0]!, operands[1]!];
    const shifted = (lists: readonly (readonly number[])[]): number[][] =>
      range(2).map((side) => (batched[side] ? behindBatch(lists[side] ?? []) : [...(lists[side] ?? [])]));
    const [batch, contract] = [shifted(attrs.batch), shifted(attrs.contract)];
    if (batched[0] && batched[1]) return [dot(b, x, y, { batch: batch.map((list) => [0, ...list]), contract })];
    // The batch axis is the first free axis of its operand.
    const result = dot(b, x, y, { batch, contract });
    const before = batch[0]!.length + (batched[0] ? 0 : rankOf(x) - batch[0]!.length - contract[0]!.length);
    return [moveAxis(b, result, before, 0)];
  },
  nest: {
    kind: "reduce",
    red: ({ attrs, operands: [x, y] }) => typeRoles(attrs, x!, y!).contract[0].map((axis) => x!.shape[axis]!),
    accumulators({ attrs, operands: [x, y] }, par, red, read) {
      const roles = typeRoles(attrs, x!, y!);
      const [p, q] = [read(0, operandIndex(roles, 0, par, red)), read(1, operandIndex(roles, 1, par, red))];
      return [{ combine: "add", dtype: x!.dtype, values: [scalarApply("mul", [p, q])] }];
    },
    value: (_, acc) => acc(0, 0),
  },
  ulp: 2,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const dtype = numericDType(rng);
    const sizes = (max: number): number[] => range(rng.int(0, max)).map(() => rng.pick([1, 2, 3, 5, 7, 9, 17]));
    const [batch, contract] = [sizes(1), range(rng.int(0, 2)).map(() => rng.pick([1, 2, 3, 5, 8, 33]))];
    const side = (): { shape: number[]; batch: number[]; contract: number[] } => {
      const roles = shuffled(rng, [
        ...batch.map((size, i) => ({ role: "batch", i, size })),
        ...contract.map((size, i) => ({ role: "contract", i, size })),
        ...sizes(2).map((size) => ({ role: "free", i: 0, size })),
      ]);
      const axesOf = (role: string, count: number): number[] =>
        range(count).map((i) => roles.findIndex((r) => r.role === role && r.i === i));
      return {
        shape: roles.map((r) => r.size),
        batch: axesOf("batch", batch.length),
        contract: axesOf("contract", contract.length),
      };
    };
    const [x, y] = [side(), side()];
    return {
      operands: [plain(dtype, x.shape), plain(dtype, y.shape)],
      attrs: { batch: [x.batch, y.batch], contract: [x.contract, y.contract] },
    };
  },
});

export const dotOps: readonly OpDef[] = [dotOp];
