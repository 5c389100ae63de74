// Models as graphs, written the way the tracer writes them: what golden tests and kernel counts are taken of.
import { Builder, type DType, emit, type Graph, tensorType, typeOf, type Value } from "@sinter/ir";
import { simplify, vjpInto } from "../../src/index.ts";

const {
  add,
  broadcastTo,
  cast,
  div,
  dot,
  elementwise,
  equal,
  expandAxes,
  iota,
  mul,
  neg,
  reduce,
  reduceSum,
  shapeOf,
  sqrt,
  sub,
} = emit;

const matmul = { batch: [[], []], contract: [[1], [0]] };

/** x W + b */
export function linear(b: Builder, x: Value, weight: Value, bias: Value): Value {
  const product = dot(b, x, weight, matmul);
  return add(b, product, broadcastTo(b, bias, shapeOf(product), [1]));
}

/** Mean over the rows of the cross entropy between softmax(logits) and one-hot labels. */
export function softmaxCrossEntropy(b: Builder, logits: Value, labels: Value): Value {
  const { dtype, shape } = typeOf(logits);
  const highest = b.emit("stopGradient", [reduce(b, "max", logits, [1])]);
  const shifted = sub(b, logits, expandAxes(b, highest, shape, [1]));
  const total = reduceSum(b, elementwise(b, "exp", shifted), [1]);
  const logProbability = sub(b, shifted, expandAxes(b, elementwise(b, "log", total), shape, [1]));
  const oneHot = cast(b, equal(b, expandAxes(b, labels, shape, [1]), iota(b, "i32", shape, 1)), dtype);
  const perRow = neg(b, reduceSum(b, mul(b, oneHot, logProbability), [1]));
  return div(b, reduceSum(b, perRow, [0]), b.scalar(dtype, Number(shape[0])));
}

/** Cross entropy of a multi-layer perceptron with relu between its layers. Parameters: x, labels, then w1, b1, w2, ... */
export function mlpLoss(batch: number, sizes: readonly number[], dtype: DType = "f32"): Graph {
  const b = new Builder("mlp_loss");
  let x = b.param("arg", tensorType(dtype, [batch, sizes[0]!]), "x");
  const labels = b.param("arg", tensorType("i32", [batch]), "labels");
  for (let layer = 1; layer < sizes.length; layer++) {
    const [inputs, outputs] = [sizes[layer - 1]!, sizes[layer]!];
    const weight = b.param("arg", tensorType(dtype, [inputs, outputs]), `w${layer}`);
    const bias = b.param("arg", tensorType(dtype, [outputs]), `b${layer}`);
    x = linear(b, layer === 1 ? x : elementwise(b, "relu", x), weight, bias);
  }
  return b.finish([{ kind: "out", value: softmaxCrossEntropy(b, x, labels) }]);
}

/**
 * One training step: loss, gradients, Adam. State: the step count, then for each variable its value and both moments.
 * The result is the loss.
 */
export function mlpStep(batch: number, sizes: readonly number[]): Graph {
  const loss = mlpLoss(batch, sizes);
  const b = new Builder("mlp_step");
  const inputs = loss.params.slice(0, 2).map((param) => b.param("arg", param.value.type, param.name));
  const count = b.param("state", tensorType("i32", []), "step");
  const variables = loss.params.slice(2).map(({ name, value }) => ({
    value: b.param("state", value.type, name),
    mean: b.param("state", value.type, `${name}_m`),
    square: b.param("state", value.type, `${name}_v`),
  }));
  const { results, gradients } = vjpInto(
    b,
    loss,
    [...inputs, ...variables.map((variable) => variable.value)],
    () => [b.scalar("f32", 1)],
    variables.map((_, i) => i + 2),
  );
  const f32 = (value: number): Value => b.scalar("f32", value);
  const next = add(b, count, b.scalar("i32", 1));
  const t = cast(b, next, "f32");
  const correction = (beta: number): Value => sub(b, f32(1), b.emit("pow", [f32(beta), t]));
  const [first, second] = [correction(0.9), correction(0.999)];
  const updates = variables.flatMap((variable, i) => {
    const gradient = gradients[i]!;
    const mean = add(b, mul(b, variable.mean, f32(0.9)), mul(b, gradient, f32(0.1)));
    const square = add(b, mul(b, variable.square, f32(0.999)), mul(b, mul(b, gradient, gradient), f32(0.001)));
    const step = div(b, div(b, mean, first), add(b, sqrt(b, div(b, square, second)), f32(1e-8)));
    return [sub(b, variable.value, mul(b, step, f32(0.001))), mean, square];
  });
  const graph = b.finish([
    { kind: "out", value: results[0]! },
    { kind: "state", value: next, param: 2 },
    ...updates.map((value, i) => ({ kind: "state", value, param: 3 + i }) as const),
  ]);
  return simplify(graph);
}
