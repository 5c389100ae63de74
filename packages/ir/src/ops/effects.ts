/**
 * Ops that act when the program runs: print, hostCall. Each takes the status of the program first and gives it back, which
 * is what keeps them, and checks between them, in order; where the status is not 0 they do nothing.
 */
import { defineOp, demandsAll, type NestRule, noBounds, type OpDef, type SampledOp } from "../define-op.ts";
import { isDType } from "../dtype.ts";
import { type Attrs, type TensorType, tensorType } from "../graph.ts";
import { answerCall, type HostCall, type HostType } from "../host-call.ts";
import { staticShape } from "./host.ts";
import { checkScalar, fail, tensors } from "./rules.ts";
import { anyDType, plain } from "./sampling.ts";

/** `format`: the text around the values, one piece more than there are values. */
export type PrintAttrs = { readonly format: readonly string[] };
/** `call`: the function's number. `dtypes`, `shapes`: what it gives. */
export type HostCallAttrs = {
  readonly call: number;
  readonly dtypes: readonly string[];
  readonly shapes: readonly (readonly number[])[];
};

const status: TensorType = tensorType("i32", []);
const hostType = ({ dtype, shape }: TensorType): HostType => ({ dtype, shape: staticShape(shape) });

/** The fields that both have. `call` says what whoever runs the program is asked for. */
function effectFields<A extends Attrs>(
  op: string,
  call: (attrs: A, operands: readonly HostType[], results: readonly HostType[]) => HostCall,
) {
  const nest: NestRule<A> = {
    kind: "host",
    call: ({ attrs, operands, results }) => call(attrs, operands.map(hostType), results.map(hostType)),
  };
  return {
    name: op,
    groups: [],
    effect: true,
    cost: () => 0,
    eval: (
      operands: Parameters<OpDef<A>["eval"]>[0],
      attrs: A,
      types: readonly TensorType[],
      { host }: Parameters<OpDef<A>["eval"]>[3],
    ) => answerCall(call(attrs, operands, types.map(hostType)), operands, host),
    fold: [],
    batch: (): never => {
      throw new Error(`batching of ${op} makes a loop over the examples and has no rule in the op's entry`);
    },
    nest,
    ulp: 0,
    bounds: noBounds,
    demand: demandsAll,
  } as const;
}

const printOp = defineOp<PrintAttrs>({
  ...effectFields<PrintAttrs>("print", ({ format }, operands, results) => ({
    kind: "print",
    format,
    operands,
    results,
  })),
  name: "print",
  doc: "The status (operand 0), after the other operands were printed between the pieces of `format`.",
  attrs: { format: "texts" },
  type(operands, { format }) {
    const [first, ...values] = tensors("print", operands, 1, true);
    checkScalar("print", first!, "i32", "the status");
    if (format.length !== values.length + 1)
      fail("print", `format must have ${values.length + 1} pieces for ${values.length} values, got ${format.length}`);
    return [status];
  },
  derivative: { kind: "none", reason: "what is printed has no derivative" },
  sample(rng): SampledOp<PrintAttrs> {
    const values = Array.from({ length: rng.int(0, 2) }, () => plain(anyDType(rng), rng.shape(0, 3)));
    const zero = { type: status, lo: 0, hi: 0 };
    return { operands: [zero, ...values], attrs: { format: ["", ...values.map((_, i) => ` "${i}" {}\n`)] } };
  },
});

const hostCallOp = defineOp<HostCallAttrs>({
  ...effectFields<HostCallAttrs>("hostCall", ({ call }, operands, results) => ({
    kind: "call",
    id: call,
    operands,
    results,
  })),
  name: "hostCall",
  doc: "The status (operand 0), and what a function of the host gives for the other operands.",
  attrs: { call: "int", dtypes: "texts", shapes: "intLists" },
  type(operands, { dtypes, shapes }) {
    const [first] = tensors("hostCall", operands, 1, true);
    checkScalar("hostCall", first!, "i32", "the status");
    if (dtypes.length !== shapes.length)
      fail("hostCall", `has ${dtypes.length} dtypes and ${shapes.length} shapes for its results`);
    return [
      status,
      ...dtypes.map((dtype, i) => {
        if (!isDType(dtype)) fail("hostCall", `${dtype} is not a dtype`);
        if (shapes[i]!.some((size) => !Number.isInteger(size) || size < 0))
          fail("hostCall", `[${shapes[i]!.join(", ")}] is not a shape`);
        return tensorType(dtype, shapes[i]!);
      }),
    ];
  },
  derivative: {
    kind: "custom",
    vjp: () => fail("hostCall", unknownDerivative),
    jvp: () => fail("hostCall", unknownDerivative),
  },
  sample(rng): SampledOp<HostCallAttrs> {
    // Behind a failure it does nothing, so that it needs no function.
    const failed = { type: status, lo: 1, hi: 9 };
    const count = rng.int(0, 2);
    return {
      operands: [failed, plain(anyDType(rng), rng.shape(0, 3))],
      attrs: {
        call: rng.int(0, 9),
        dtypes: Array.from({ length: count }, () => anyDType(rng)),
        shapes: Array.from({ length: count }, () => rng.shape(0, 2)),
      },
    };
  },
});

const unknownDerivative =
  "a derivative was asked for of what a function of the host gives, which is not known. " +
  "Give it one with customVjp, or take it for a constant with stopGradient";

export const effectOps: readonly OpDef[] = [printOp, hostCallOp];
