// Sinter on the backend that has been set, wasm unless another was: every job is one compiled function whose inputs and
// results stay in the backend's memory.
import { compile, type Tensor, tensor } from "sinter";
import {
  elementwiseConstants,
  elementwiseInput,
  matmulInputs,
  powInputs,
  softmaxInput,
  sumInput,
  unaryInput,
} from "../harness/inputs.ts";
import type { Job, Peer, Prepared, Refusal, UnaryName } from "../harness/job.ts";
import { convTraining } from "./sinter-conv.ts";
import { trainingRun, trainingStep } from "./sinter-training.ts";

export const peer: Peer = {
  name: "sinter",
  prepare: async (job) => {
    switch (job.kind) {
      case "linear-regression":
        return (await loops()).linearRegression(job);
      case "mandelbrot":
        return (await loops()).mandelbrot(job);
      case "jacobi":
        return (await loops()).jacobi(job);
      case "rnn":
        return (await loops()).rnn(job);
      default:
        return prepare(job);
    }
  },
};

/** Loaded by the jobs that need it: their source is transformed as it is imported. */
async function loops(): Promise<typeof import("./sinter-control.ts")> {
  await import("sinter/register");
  return await import("./sinter-control.ts");
}

/** The jobs without loops. */
export function prepare(job: Job): Prepared | Refusal {
  switch (job.kind) {
    case "matmul": {
      const { a, b } = matmulInputs(job);
      const inputs = [tensor(a, { shape: [job.m, job.k] }), tensor(b, { shape: [job.k, job.n] })];
      return apply((x, y) => x!.matmul(y!), inputs);
    }
    case "elementwise": {
      const { a, b } = elementwiseConstants;
      return apply(
        (x) => x!.mul(a).add(b).tanh().mul(x!.sigmoid()).add(x!.mul(x!).neg().exp()),
        [tensor(elementwiseInput(job))],
      );
    }
    case "softmax":
      return apply((x) => x!.softmax(-1), [tensor(softmaxInput(job), { shape: [job.rows, job.columns] })]);
    case "sum":
      return apply((x) => x!.sum(), [tensor(sumInput(job))]);
    case "unary":
      return apply((x) => unaryFunctions[job.name](x!), [tensor(unaryInput(job.name))]);
    case "pow": {
      const { base, exponent } = powInputs();
      return apply((x, y) => x!.pow(y!), [tensor(base), tensor(exponent)]);
    }
    case "training-step":
      return trainingStep(job);
    case "conv-training":
      return convTraining(job);
    case "training-run":
      return trainingRun(job);
    default:
      return { refused: "not written for this peer" };
  }
}

const unaryFunctions: Record<UnaryName, (x: Tensor) => Tensor> = {
  exp: (x) => x.exp(),
  log: (x) => x.log(),
  tanh: (x) => x.tanh(),
  erf: (x) => x.erf(),
  sin: (x) => x.sin(),
  cos: (x) => x.cos(),
};

/** A pure function of tensors; the result stays in the heap and is freed. */
function apply(compute: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): Prepared {
  const compiled = compile(compute);
  return {
    run: () => compiled(...inputs).dispose(),
    result: async () => {
      const output = compiled(...inputs);
      const values = Float32Array.from(await output.data());
      output.dispose();
      return values;
    },
    get facts() {
      return { kernels: compiled.lower(...inputs).cost().kernels };
    },
    dispose: () => {
      for (const input of inputs) input.dispose();
    },
  };
}
