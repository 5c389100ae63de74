// onnxruntime-web on its wasm backend (SIMD, one thread). A job is one session over a model built in memory.
//
// Its API hands out results by copying them to JavaScript memory, and there is no way to keep them in wasm memory: that
// copy is part of every time. Inputs need not be copied: they are put into the model as defaults of its inputs.
import * as ort from "onnxruntime-web/wasm";
import {
  elementwiseConstants,
  elementwiseInput,
  jacobiInput,
  mandelbrotInputs,
  matmulInputs,
  powInputs,
  softmaxInput,
  sumInput,
  unaryInput,
} from "../harness/inputs.ts";
import type { Job, Peer, Prepared, Refusal, UnaryName } from "../harness/job.ts";
import { jacobiModel, mandelbrotModel } from "./onnx/loops.ts";
import { type Constant, encodeModel, type Node } from "./onnx/model.ts";

ort.env.wasm.numThreads = 1;
ort.env.wasm.simd = true;
ort.env.logLevel = "error";

export const peer: Peer = { name: "onnxruntime-web", prepare };

async function prepare(job: Job): Promise<Prepared | Refusal> {
  switch (job.kind) {
    case "matmul": {
      const { a, b } = matmulInputs(job);
      return await open({
        nodes: [{ op: "MatMul", inputs: ["a", "b"], output: "y" }],
        inputs: [constant("a", [job.m, job.k], a), constant("b", [job.k, job.n], b)],
        outputShape: [job.m, job.n],
      });
    }
    case "elementwise":
      return await open({
        nodes: elementwiseNodes,
        inputs: [constant("x", [job.size], elementwiseInput(job))],
        constants: [
          constant("a", [], Float32Array.of(elementwiseConstants.a)),
          constant("b", [], Float32Array.of(elementwiseConstants.b)),
        ],
        outputShape: [job.size],
      });
    case "softmax":
      return await open({
        nodes: [{ op: "Softmax", inputs: ["x"], output: "y", attributes: [{ name: "axis", integer: -1 }] }],
        inputs: [constant("x", [job.rows, job.columns], softmaxInput(job))],
        outputShape: [job.rows, job.columns],
      });
    case "sum":
      return await open({
        nodes: [{ op: "ReduceSum", inputs: ["x"], output: "y", attributes: [{ name: "keepdims", integer: 0 }] }],
        inputs: [constant("x", [job.size], sumInput(job))],
        outputShape: [],
      });
    case "unary": {
      const x = unaryInput(job.name);
      return await open({
        nodes: [{ op: unaryOps[job.name], inputs: ["x"], output: "y" }],
        inputs: [constant("x", [x.length], x)],
        outputShape: [x.length],
      });
    }
    case "pow": {
      const { base, exponent } = powInputs();
      return await open({
        nodes: [{ op: "Pow", inputs: ["x", "z"], output: "y" }],
        inputs: [constant("x", [base.length], base), constant("z", [base.length], exponent)],
        outputShape: [base.length],
      });
    }
    case "mandelbrot": {
      const { re, im } = mandelbrotInputs(job);
      const shape = [job.size * job.size];
      return await open({
        ...mandelbrotModel(job.size, job.limit),
        inputs: [constant("re", shape, re), constant("im", shape, im)],
        outputShape: shape,
      });
    }
    case "jacobi": {
      const shape = [1, 1, job.size, job.size];
      return await open({
        ...jacobiModel(job.size, job.steps),
        inputs: [constant("u", shape, jacobiInput(job))],
        outputShape: shape,
      });
    }
    case "training-step":
    case "training-run":
      return { refused: "this version has no training API" };
    default:
      return { refused: "not written for this peer" };
  }
}

const unaryOps: Record<UnaryName, string> = {
  exp: "Exp",
  log: "Log",
  tanh: "Tanh",
  erf: "Erf",
  sin: "Sin",
  cos: "Cos",
};

/** y = tanh(a*x + b) * sigmoid(x) + exp(-x*x) */
const elementwiseNodes: readonly Node[] = [
  { op: "Mul", inputs: ["a", "x"], output: "ax" },
  { op: "Add", inputs: ["ax", "b"], output: "axb" },
  { op: "Tanh", inputs: ["axb"], output: "t" },
  { op: "Sigmoid", inputs: ["x"], output: "s" },
  { op: "Mul", inputs: ["t", "s"], output: "ts" },
  { op: "Mul", inputs: ["x", "x"], output: "xx" },
  { op: "Neg", inputs: ["xx"], output: "minus" },
  { op: "Exp", inputs: ["minus"], output: "e" },
  { op: "Add", inputs: ["ts", "e"], output: "y" },
];

interface Program {
  readonly nodes: readonly Node[];
  readonly inputs: readonly Constant[];
  readonly constants?: readonly Constant[];
  readonly outputShape: readonly number[];
}

async function open({ nodes, inputs, constants = [], outputShape }: Program): Promise<Prepared> {
  const model = encodeModel({
    nodes,
    inputs,
    outputs: [{ name: "y", shape: outputShape }],
    initializers: [...inputs, ...constants],
  });
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    // Errors only: it would warn of every input with a default.
    logSeverityLevel: 3,
  });
  return {
    run: async () => {
      (await session.run({})).y!.dispose();
    },
    result: async () => {
      const output = (await session.run({})).y!;
      return Float32Array.from(output.data as Float32Array);
    },
    dispose: () => void session.release(),
  };
}

function constant(name: string, shape: readonly number[], values: Float32Array): Constant {
  return { name, shape, values };
}
