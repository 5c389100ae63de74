/**
 * Random bits from keys: threefry2x32 in counter mode, bit for bit what JAX makes with `jax_threefry_partitionable`
 * (its default): element i of a shape is the cipher of the 64-bit counter i. No element depends on how many there are or
 * on which kernel makes it.
 */
import { defineOp, demandsAll, noBounds, type OpDef } from "../define-op.ts";
import { sameShape } from "../emit.ts";
import { type TensorType, tensorType } from "../graph.ts";
import type { Dim, ScalarExpr } from "../nest/expr.ts";
import { indexConst, indexZero, linearize } from "../nest/index-algebra.ts";
import { scalarApply, scalarCast, scalarConst, scalarGuard, scalarIndex } from "../nest/scalar-expr.ts";
import { element, hostOf, offsetOf } from "./host.ts";
import { describeType, fail, tensors, withBatch } from "./rules.ts";
import { plain } from "./sampling.ts";
import { numberWords, threefry2x32, type Words } from "./threefry.ts";

const expressionWords: Words<ScalarExpr> = {
  constant: (value) => scalarConst("u32", value),
  add: (x, y) => scalarApply("add", [x, y]),
  xor: (x, y) => scalarApply("xor", [x, y]),
  rotateLeft: (x, bits) =>
    scalarApply("or", [
      scalarApply("shl", [x, scalarConst("u32", bits)]),
      scalarApply("shr", [x, scalarConst("u32", 32 - bits)]),
    ]),
};

/** Checks a key u32[..., 2] and returns the axes before the two words: one stream for each position of them. */
function checkKey(op: string, key: TensorType): readonly Dim[] {
  if (key.dtype !== "u32" || key.shape.at(-1) !== 2)
    fail(op, `a key is two u32 words along the last axis, got ${describeType(key)}`);
  return key.shape.slice(0, -1);
}
const fullRange = { lo: 0, hi: 4294967295 };
/** 5 blocks of 4 rounds, each an add, a xor and a rotation of three operations. */
const threefryCost = 110;

export type RandomBitsAttrs = { readonly shape: readonly Dim[] };

const randomBitsOp = defineOp<RandomBitsAttrs>({
  name: "randomBits",
  doc: "Uniform random u32 of a shape from a key u32[2], by counter; more keys in front give one such tensor each.",
  attrs: { shape: "dims" },
  groups: [],
  effect: false,
  cost: () => threefryCost,
  type(operands, { shape }) {
    const [key] = tensors("randomBits", operands, 1);
    return [tensorType("u32", [...checkKey("randomBits", key!), ...shape])];
  },
  eval([key], _, [type]) {
    const keys = key!.shape.length - 1;
    return [
      hostOf(type!, (index) => {
        const word = (k: number): number => element(key!, [...index.slice(0, keys), k]);
        const counter = offsetOf((type!.shape as readonly number[]).slice(keys), index.slice(keys));
        const [x, y] = threefry2x32(numberWords, [word(0), word(1)], [Math.floor(counter / 2 ** 32), counter >>> 0]);
        return numberWords.xor(x, y);
      }),
    ];
  },
  fold: [],
  derivative: { kind: "none", reason: "random bits are integers" },
  batch: (b, { operands, attrs }) => [b.emit("randomBits", operands, attrs)],
  nest: {
    kind: "map",
    value({ attrs, operands }, index, read) {
      const keys = operands[0]!.shape.length - 1;
      const word = (k: number): ScalarExpr => read(0, [...index.slice(0, keys), indexConst(k)]);
      const counter = scalarCast(scalarIndex(linearize(index.slice(keys), attrs.shape)), "u32");
      const [x, y] = threefry2x32(expressionWords, [word(0), word(1)], [scalarConst("u32", 0), counter]);
      return scalarApply("xor", [x, y]);
    },
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample: (rng) => ({
    operands: [plain("u32", [...rng.pick<number[]>([[], [], [3]]), 2], fullRange)],
    attrs: { shape: rng.shape(0, 3) },
  }),
});

type NoAttrs = Record<never, never>;

const threefryOp = defineOp<NoAttrs>({
  name: "threefry",
  doc: "Both cipher words of u32 counters under keys u32[..., 2], along a new last axis: what new keys are made of.",
  attrs: {},
  groups: [],
  effect: false,
  cost: () => threefryCost,
  type(operands) {
    const [key, counter] = tensors("threefry", operands, 2);
    const lead = checkKey("threefry", key!);
    if (counter!.dtype !== "u32" || !sameShape(counter!.shape.slice(0, lead.length), lead))
      fail(
        "threefry",
        `counters must be u32 and start with the axes of the keys ${describeType(key!)}, got ${describeType(counter!)}`,
      );
    return [tensorType("u32", [...counter!.shape, 2])];
  },
  eval([key, counter], _, [type]) {
    const keys = key!.shape.length - 1;
    return [
      hostOf(type!, (index) => {
        const word = (k: number): number => element(key!, [...index.slice(0, keys), k]);
        return threefry2x32(numberWords, [word(0), word(1)], [0, element(counter!, index.slice(0, -1))])[
          index.at(-1)!
        ]!;
      }),
    ];
  },
  fold: [],
  derivative: { kind: "none", reason: "random bits are integers" },
  batch(b, ctx) {
    // The keys' axes lead the counters', so both need the batch axis.
    return [b.emit("threefry", [withBatch(b, ctx, 0), withBatch(b, ctx, 1)])];
  },
  nest: {
    kind: "map",
    value({ operands }, index, read) {
      const keys = operands[0]!.shape.length - 1;
      const word = (k: number): ScalarExpr => read(0, [...index.slice(0, keys), indexConst(k)]);
      const counter = read(1, index.slice(0, -1));
      const [x, y] = threefry2x32(expressionWords, [word(0), word(1)], [scalarConst("u32", 0), counter]);
      return scalarGuard([{ index: index.at(-1) ?? indexZero, lo: 0, hi: 1 }], x, y);
    },
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const lead = rng.pick<number[]>([[], [], [3]]);
    return {
      operands: [plain("u32", [...lead, 2], fullRange), plain("u32", [...lead, ...rng.shape(0, 2)], fullRange)],
      attrs: {},
    };
  },
});

export const randomOps: readonly OpDef[] = [randomBitsOp, threefryOp];
