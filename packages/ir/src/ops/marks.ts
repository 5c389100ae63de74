/** Ops that pass values through and only tell the passes something: stopGradient, barrier. */
import { defineOp, demandsAll, demandsSame, noBounds, type OpDef } from "../define-op.ts";
import { fail, tensors, withBatch } from "./rules.ts";
import { anyDType, plain } from "./sampling.ts";

type NoAttrs = Record<never, never>;

const stopGradientOp = defineOp<NoAttrs>({
  name: "stopGradient",
  doc: "x, taken for a constant by derivatives.",
  attrs: {},
  groups: [],
  effect: false,
  cost: () => 0,
  type: (operands) => tensors("stopGradient", operands, 1),
  eval: ([x]) => [x!],
  fold: [],
  derivative: { kind: "none", reason: "stopGradient was asked for" },
  batch: (b, { operands }) => [b.emit("stopGradient", operands)],
  nest: { kind: "map", value: (_, index, read) => read(0, index) },
  ulp: 0,
  bounds: noBounds,
  demand: demandsSame,
  sample: (rng) => ({ operands: [plain(anyDType(rng), rng.shape(0, 4))], attrs: {} }),
});

const barrierOp = defineOp<NoAttrs>({
  name: "barrier",
  doc: "Its operands, unchanged; no rewrite looks or merges through it.",
  attrs: {},
  groups: [],
  effect: false,
  cost: () => 0,
  type(operands) {
    if (operands.length === 0) fail("barrier", "takes at least 1 operand, got 0");
    return tensors("barrier", operands, 1, true);
  },
  eval: (operands) => operands,
  fold: [],
  derivative: { kind: "linear", transpose: (_, cotangents) => cotangents },
  batch: (b, ctx) =>
    b.emitAll(
      "barrier",
      ctx.operands.map((_, i) => withBatch(b, ctx, i)),
    ),
  nest: { kind: "map", fence: true, value: (_, index, read, result) => read(result, index) },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample: (rng) => ({
    operands: Array.from({ length: rng.int(1, 3) }, () => plain(anyDType(rng), rng.shape(0, 3))),
    attrs: {},
  }),
});

export const markOps: readonly OpDef[] = [stopGradientOp, barrierOp];
