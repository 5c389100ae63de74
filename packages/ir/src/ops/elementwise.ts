/**
 * Elementwise ops: one graph op for each row of the scalar table, and the conversions `cast` and `bitcast`. Operands have
 * equal shapes or rank 0. The algebra of their folds is in elementwise-folds.ts.
 */
import {
  type BatchContext,
  type DemandRule,
  defineOp,
  demandsSame,
  type Emitter,
  noBounds,
  type OpDef,
  type Rng,
  type SampledOp,
  type SampledOperand,
} from "../define-op.ts";
import { bytesOf, type DType, dtypes, isFloat, isInteger } from "../dtype.ts";
import { and, broadcastTo, cast, dtypeOf, not, sameShape, scalarAlgebra } from "../emit.ts";
import { type Attrs, type TensorType, tensorType, typeOf, type Value } from "../graph.ts";
import { bitcastValue, castValue, scalarApply, scalarBitcast, scalarCast } from "../nest/scalar-expr.ts";
import { evalScalar, type ScalarOp, type ScalarOpName, scalarOpNames, scalarOps } from "../scalar-ops.ts";
import { bitcastFolds, castFolds, elementwiseFolds } from "./elementwise-folds.ts";
import { hostOf } from "./host.ts";
import { describeType, fail, innerRank, listed, tensors, withBatch } from "./rules.ts";
import { anyDType, plain } from "./sampling.ts";

type NoAttrs = Record<never, never>;

/** Shape of an elementwise result. */
function commonShape(op: string, operands: readonly TensorType[]): TensorType["shape"] {
  const full = operands.find((t) => t.shape.length > 0);
  if (full === undefined) return [];
  for (const t of operands)
    if (t.shape.length > 0 && !sameShape(t.shape, full.shape))
      fail(op, `takes equal shapes or scalars, got ${listed(operands.map(describeType))}`);
  return full.shape;
}

/** Unbatched scalars stay scalars; everything else is brought to the full batched shape. */
function alignBatch<A extends Attrs>(b: Emitter, ctx: BatchContext<A>): Value[] {
  const ranks = ctx.operands.map((_, i) => innerRank(ctx, i));
  const full = ranks.indexOf(Math.max(...ranks));
  const inner = typeOf(ctx.operands[full]!).shape.slice(ctx.batched[full] ? 1 : 0);
  return ctx.operands.map((x, i) => {
    if (ranks[i] === inner.length && inner.length > 0) return withBatch(b, ctx, i);
    return ctx.batched[i] && inner.length > 0 ? broadcastTo(b, x, [ctx.size, ...inner], [0]) : x;
  });
}

/** Either side counts where the condition takes it. */
const selectDemand: DemandRule<Attrs> = {
  kind: "pick",
  whole: [0],
  used(b, mask, { operands: [condition] }, operand) {
    const taken = operand === 1 ? condition! : not(b, condition!);
    return and(b, mask, taken);
  },
};

function defineElementwise(name: ScalarOpName): OpDef {
  const row = scalarOps[name];
  const { partials } = row;
  return defineOp<NoAttrs>({
    name,
    doc: `Element by element: ${row.doc}.`,
    attrs: {},
    groups: [],
    effect: false,
    cost: () => row.cost,
    type(operands) {
      const types = tensors(name, operands, row.arity);
      const dtype = row.type(types.map((t) => t.dtype));
      if (dtype === undefined) fail(name, dtypeMessage(name, row, types));
      return [tensorType(dtype, commonShape(name, types))];
    },
    eval(operands, _, [type]) {
      const from = operands.map((x) => x.dtype);
      const values = operands.map(() => 0);
      return [
        hostOf(type!, (_index, offset) => {
          for (let i = 0; i < values.length; i++) {
            const { data, shape } = operands[i]!;
            values[i] = data[shape.length === 0 ? 0 : offset]!;
          }
          return evalScalar(name, from, type!.dtype, values);
        }),
      ];
    },
    fold: elementwiseFolds(name),
    derivative:
      partials === undefined
        ? { kind: "none", reason: `${name} is piecewise constant or works on integers` }
        : {
            kind: "elementwise",
            partials: (b, { operands, results }) =>
              partials(scalarAlgebra(b, dtypeOf(results[0]!)), operands, results[0]!),
          },
    batch: (b, ctx) => [b.emit(name, alignBatch(b, ctx))],
    nest: {
      kind: "map",
      value: ({ operands }, index, read) =>
        scalarApply(
          name,
          operands.map((t, i) => read(i, t.shape.length === 0 ? [] : index)),
        ),
    },
    ulp: row.ulp,
    bounds: noBounds,
    demand: name === "select" ? selectDemand : demandsSame,
    sample: (rng) => sampleRow(rng, name),
  });
}

function dtypeMessage(name: string, row: ScalarOp, types: readonly TensorType[]): string {
  const accepted = dtypes.filter((d) => row.type(Array.from({ length: row.arity }, () => d)) !== undefined);
  const want =
    name === "select"
      ? "takes a bool condition and two tensors of one dtype"
      : `takes ${row.arity > 1 ? "operands of one dtype out of" : "one of"} ${accepted.join(", ")}`;
  return `${want}, got ${listed(types.map(describeType))}`;
}

function sampleRow(rng: Rng, name: ScalarOpName): SampledOp<NoAttrs> {
  const row = scalarOps[name];
  const of = (d: DType): DType[] => (name === "select" ? ["bool", d, d] : Array.from({ length: row.arity }, () => d));
  const accepted = dtypes.filter((d) => row.type(of(d)) !== undefined);
  const dtype = accepted.includes("f32") && rng.bool() ? "f32" : rng.pick(accepted);
  const shape = rng.shape(0, 4);
  const scalarAt = row.arity > 1 && rng.int(0, 3) === 0 ? rng.int(0, row.arity - 1) : -1;
  const wide = rng.bool();
  const isShift = name === "shl" || name === "shr";
  const operands = of(dtype).map((d, i): SampledOperand => {
    const type = tensorType(d, i === scalarAt ? [] : shape);
    if (d === "bool") return { type, lo: 0, hi: 1 };
    if (!isInteger(d)) return { type, ...row.domain };
    if (wide && !(isShift && i === 1))
      return d === "u32" ? { type, lo: 0, hi: 4294967295 } : { type, lo: -2147483648, hi: 2147483647 };
    const lo = Math.ceil(row.domain.lo);
    return { type, lo: d === "u32" ? Math.max(0, lo) : lo, hi: Math.floor(row.domain.hi) };
  });
  return { operands, attrs: {} };
}

type CastAttrs = { readonly dtype: DType };

const castOp = defineOp<CastAttrs>({
  name: "cast",
  doc: "The same values as another dtype: floats to integers truncate and saturate (NaN gives 0), integers wrap, to bool is x != 0.",
  attrs: { dtype: "dtype" },
  groups: [],
  effect: false,
  cost: () => 1,
  type(operands, { dtype }) {
    const [x] = tensors("cast", operands, 1);
    return [tensorType(dtype, x!.shape)];
  },
  eval: ([x], { dtype }, [type]) => [hostOf(type!, (_, offset) => castValue(x!.dtype, dtype, x!.data[offset]!))],
  fold: castFolds,
  derivative: {
    // Between floats only: through integers and bool nothing varies smoothly.
    kind: "custom",
    vjp: (b, [ct], { operands }) => [
      ct != null && isFloat(dtypeOf(operands[0]!)) ? cast(b, ct, dtypeOf(operands[0]!)) : null,
    ],
    jvp: (b, [t], { attrs }) => [t != null && isFloat(attrs.dtype) ? cast(b, t, attrs.dtype) : null],
  },
  batch: (b, { operands, attrs }) => [b.emit("cast", operands, attrs)],
  nest: { kind: "map", value: ({ attrs }, index, read) => scalarCast(read(0, index), attrs.dtype) },
  ulp: 0,
  bounds: noBounds,
  demand: demandsSame,
  sample(rng) {
    const from = anyDType(rng);
    const range = isFloat(from) ? { lo: -1e3, hi: 1e3 } : {};
    return { operands: [plain(from, rng.shape(0, 4), range)], attrs: { dtype: anyDType(rng) } };
  },
});

const bitcastOp = defineOp<CastAttrs>({
  name: "bitcast",
  doc: "The same bits as another dtype of the same size (f32, i32, u32).",
  attrs: { dtype: "dtype" },
  groups: [],
  effect: false,
  cost: () => 0,
  type(operands, { dtype }) {
    const [x] = tensors("bitcast", operands, 1);
    if (bytesOf(x!.dtype) !== bytesOf(dtype))
      fail("bitcast", `${describeType(x!)} has elements of ${bytesOf(x!.dtype)} bytes, ${dtype} has ${bytesOf(dtype)}`);
    return [tensorType(dtype, x!.shape)];
  },
  eval: ([x], { dtype }, [type]) => [hostOf(type!, (_, offset) => bitcastValue(x!.dtype, dtype, x!.data[offset]!))],
  fold: bitcastFolds,
  derivative: { kind: "none", reason: "bits are not numbers" },
  batch: (b, { operands, attrs }) => [b.emit("bitcast", operands, attrs)],
  nest: { kind: "map", value: ({ attrs }, index, read) => scalarBitcast(read(0, index), attrs.dtype) },
  ulp: 0,
  bounds: noBounds,
  demand: demandsSame,
  sample(rng) {
    const four: readonly DType[] = ["f32", "i32", "u32"];
    return { operands: [plain(rng.pick(four), rng.shape(0, 4))], attrs: { dtype: rng.pick(four) } };
  },
});

export const elementwiseOps: readonly OpDef[] = [...scalarOpNames.map(defineElementwise), castOp, bitcastOp];
