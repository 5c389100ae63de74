// The jobs with loops as ONNX models: a Loop node over a body graph.
import type { Constant, Graph, Node, Value } from "./model.ts";

export interface LoopModel {
  readonly nodes: readonly Node[];
  readonly constants: readonly Constant[];
}

const always: Constant = { name: "always", shape: [], values: Uint8Array.of(1) };

function scalar(name: string, value: number): Constant {
  return { name, shape: [], values: Float32Array.of(value) };
}

/** Runs `body` at most `rounds` times over the carries; outputs are the last carries. */
function loop(
  rounds: number,
  carries: readonly Value[],
  init: readonly string[],
  body: readonly Node[],
  outputs: readonly string[],
): LoopModel {
  const graph: Graph = {
    nodes: body,
    inputs: [
      { name: "round", shape: [], type: "integer" },
      { name: "more_in", shape: [], type: "boolean" },
      ...carries,
    ],
    outputs: [
      { name: "more", shape: [], type: "boolean" },
      ...carries.map((carry) => ({ ...carry, name: `${carry.name}_next` })),
    ],
    initializers: [],
  };
  return {
    nodes: [
      { op: "Loop", inputs: ["rounds", "always", ...init], output: outputs, attributes: [{ name: "body", graph }] },
    ],
    constants: [{ name: "rounds", shape: [], values: BigInt64Array.of(BigInt(rounds)) }, always],
  };
}

/** From the inputs `re` and `im` to counts `y`. The set's own points need all rounds, so asking whether any is left would never pay. */
export function mandelbrotModel(size: number, limit: number): LoopModel {
  const shape = [size * size];
  const zeros: Constant = { name: "zeros", shape, values: new Float32Array(size * size) };
  const model = loop(
    limit,
    [
      { name: "zr", shape },
      { name: "zi", shape },
      { name: "count", shape },
    ],
    ["zeros", "zeros", "zeros"],
    [
      { op: "Mul", inputs: ["zr", "zr"], output: "rr" },
      { op: "Mul", inputs: ["zi", "zi"], output: "ii" },
      { op: "Add", inputs: ["rr", "ii"], output: "size" },
      { op: "LessOrEqual", inputs: ["size", "four"], output: "alive" },
      { op: "Cast", inputs: ["alive"], output: "one", attributes: [{ name: "to", integer: 1 }] },
      { op: "Add", inputs: ["count", "one"], output: "count_next" },
      { op: "Identity", inputs: ["more_in"], output: "more" },
      { op: "Add", inputs: ["zr", "zr"], output: "twice" },
      { op: "Mul", inputs: ["twice", "zi"], output: "product" },
      { op: "Add", inputs: ["product", "im"], output: "zi_next" },
      { op: "Sub", inputs: ["rr", "ii"], output: "difference" },
      { op: "Add", inputs: ["difference", "re"], output: "zr_next" },
    ],
    ["zr_last", "zi_last", "y"],
  );
  return { ...model, constants: [...model.constants, zeros, scalar("four", 4)] };
}

/** From the input `u` to `y`, both [1, 1, size, size]: the mean of four neighbours is a convolution. */
export function jacobiModel(size: number, steps: number): LoopModel {
  const shape = [1, 1, size, size];
  const inner = Uint8Array.from({ length: size * size }, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    return Number(row > 0 && column > 0 && row < size - 1 && column < size - 1);
  });
  const cross = Float32Array.of(0, 0.25, 0, 0.25, 0, 0.25, 0, 0.25, 0);
  const model = loop(
    steps,
    [{ name: "v", shape }],
    ["u"],
    [
      {
        op: "Conv",
        inputs: ["v", "cross"],
        output: "mean",
        attributes: [
          { name: "kernel_shape", integers: [3, 3] },
          { name: "pads", integers: [1, 1, 1, 1] },
        ],
      },
      { op: "Where", inputs: ["inner", "mean", "v"], output: "v_next" },
      { op: "Identity", inputs: ["more_in"], output: "more" },
    ],
    ["y"],
  );
  const constants: Constant[] = [
    { name: "inner", shape, values: inner },
    { name: "cross", shape: [1, 1, 3, 3], values: cross },
  ];
  return { ...model, constants: [...model.constants, ...constants] };
}
