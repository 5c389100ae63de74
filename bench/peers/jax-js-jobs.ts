// The jobs on jax-js, on the device that is its default: every job is one jitted function. Its arrays move: each use but
// the last needs `.ref`.
import { blockUntilReady, jit, lax, nn, numpy as np, valueAndGrad } from "@jax-js/jax";
import {
  adamSettings,
  checkedSteps,
  elementwiseConstants,
  elementwiseInput,
  initialLayers,
  layerSizes,
  matmulInputs,
  oneHot,
  powInputs,
  softmaxInput,
  sumInput,
  trainingBatch,
  unaryInput,
} from "../harness/inputs.ts";
import type { Job, JobOf, Prepared, Refusal, UnaryName } from "../harness/job.ts";
import { linearRegression, mandelbrot, rnn } from "./jax-js-control.ts";

/** `queued`: runs are handed to a queue and waited for together; else each is waited for. */
export function prepare(job: Job, queued: boolean): Prepared | Refusal {
  const apply = queued ? applyQueued : applyWaiting;
  switch (job.kind) {
    case "matmul": {
      const { a, b } = matmulInputs(job);
      return apply(
        jit((x: np.Array, y: np.Array) => np.matmul(x, y)),
        [place(a, [job.m, job.k]), place(b, [job.k, job.n])],
      );
    }
    case "elementwise": {
      const { a, b } = elementwiseConstants;
      const formula = (x: np.Array): np.Array =>
        np
          .tanh(x.ref.mul(a).add(b))
          .mul(nn.sigmoid(x.ref))
          .add(np.exp(x.ref.mul(x).neg()));
      return apply(jit(formula), [place(elementwiseInput(job), [job.size])]);
    }
    case "softmax":
      return apply(
        jit((x: np.Array) => nn.softmax(x, -1)),
        [place(softmaxInput(job), [job.rows, job.columns])],
      );
    case "sum":
      return apply(
        jit((x: np.Array) => x.sum()),
        [place(sumInput(job), [job.size])],
      );
    case "training-step":
      return trainingStep(job, queued);
    case "linear-regression":
      return linearRegression(job);
    case "mandelbrot":
      return mandelbrot(job);
    case "rnn":
      return rnn(job);
    case "unary": {
      const x = unaryInput(job.name);
      return apply(jit(unaryFunctions[job.name]), [place(x, [x.length])]);
    }
    case "pow": {
      const { base, exponent } = powInputs();
      return apply(
        jit((x: np.Array, y: np.Array) => np.power(x, y)),
        [place(base, [base.length]), place(exponent, [exponent.length])],
      );
    }
    default:
      return { refused: "not written for this peer" };
  }
}

const unaryFunctions: Record<UnaryName, (x: np.Array) => np.Array> = {
  exp: (x) => np.exp(x),
  log: (x) => np.log(x),
  tanh: (x) => np.tanh(x),
  erf: (x) => lax.erf(x),
  sin: (x) => np.sin(x),
  cos: (x) => np.cos(x),
};

function place(values: Float32Array, shape: readonly number[]): np.Array {
  // The library's types ask for a view of an unshared buffer.
  return np.array(values as Float32Array<ArrayBuffer>, { shape: [...shape] });
}

type Jitted<Arguments extends np.Array[]> = { (...inputs: Arguments): np.Array; dispose(): void };

/** A pure function of arrays: its result is waited for on the device and freed. */
function applyWaiting<Arguments extends np.Array[]>(jitted: Jitted<Arguments>, inputs: Arguments): Prepared {
  const borrow = (): Arguments => inputs.map((input) => input.ref) as Arguments;
  return {
    run: async () => {
      const output = jitted(...borrow());
      await output.blockUntilReady();
      output.dispose();
    },
    result: async () => Float32Array.from(await jitted(...borrow()).data()),
    dispose: () => {
      for (const input of inputs) input.dispose();
      jitted.dispose();
    },
  };
}

/** The same with a wait for many runs at once. */
function applyQueued<Arguments extends np.Array[]>(jitted: Jitted<Arguments>, inputs: Arguments): Prepared {
  const prepared = applyWaiting(jitted, inputs);
  const queue = new Queue();
  return {
    ...prepared,
    run: () => queue.add(jitted(...(inputs.map((input) => input.ref) as Arguments))),
    finish: () => queue.finish(),
  };
}

/** Arrays that are being computed, and are freed as soon as the device has been asked for them. */
class Queue {
  #waits: Promise<unknown>[] = [];

  /** Resolves when the work is in the device's queue: jax-js keeps it until somebody waits for it. */
  async add(output: np.Array): Promise<void> {
    this.#waits.push(output.blockUntilReady());
    // It hands over the work, whose pipelines are known, before anything else happens in this process.
    await new Promise((resolve) => setImmediate(resolve));
    output.dispose();
  }

  async finish(): Promise<void> {
    await Promise.all(this.#waits.splice(0));
  }
}

/** Everything that a step replaces. */
interface State {
  parameters: np.Array[];
  means: np.Array[];
  squares: np.Array[];
  steps: np.Array;
}

/** Mean cross entropy; consumes its arguments, as jax-js functions do. */
function lossOf(parameters: np.Array[], images: np.Array, labels: np.Array): np.Array {
  let x = images;
  for (let index = 0; index < parameters.length; index += 2) {
    x = np.matmul(x, parameters[index]!).add(parameters[index + 1]!);
    if (index + 2 < parameters.length) x = nn.relu(x);
  }
  return nn.logSoftmax(x, -1).mul(labels).sum(-1).mean().neg();
}

/** The whole step, forward, backward and Adam, as one jitted function of the state. */
function step(state: State, images: np.Array, labels: np.Array): [np.Array, State] {
  const { learningRate, beta1, beta2, epsilon } = adamSettings;
  const borrowed = state.parameters.map((parameter) => parameter.ref);
  const [loss, gradients] = valueAndGrad(lossOf)(borrowed, images, labels);
  const steps = state.steps.add(1);
  const rate = np.reciprocal(np.power(beta1, steps.ref).neg().add(1)).mul(learningRate);
  const squareScale = np.reciprocal(np.power(beta2, steps.ref).neg().add(1));
  const next: State = { parameters: [], means: [], squares: [], steps };
  gradients.forEach((gradient, index) => {
    const mean = state.means[index]!.mul(beta1).add(gradient.ref.mul(1 - beta1));
    const square = state.squares[index]!.mul(beta2).add(gradient.ref.mul(gradient).mul(1 - beta2));
    const root = np.sqrt(square.ref.mul(squareScale.ref)).add(epsilon);
    next.parameters.push(state.parameters[index]!.sub(mean.ref.mul(rate.ref).div(root)));
    next.means.push(mean);
    next.squares.push(square);
  });
  rate.dispose();
  squareScale.dispose();
  return [loss, next];
}

function initialState(): State {
  const parameters = initialLayers().flatMap(({ weights, bias, inputs, outputs }) => [
    place(weights, [inputs, outputs]),
    place(bias, [outputs]),
  ]);
  const zeros = (): np.Array[] => parameters.map(({ shape, size }) => place(new Float32Array(size), shape));
  return { parameters, means: zeros(), squares: zeros(), steps: np.array(0, { dtype: np.float32 }) };
}

function disposeState({ parameters, means, squares, steps }: State): void {
  for (const array of [...parameters, ...means, ...squares, steps]) array.dispose();
}

function trainingStep(job: JobOf<"training-step">, queued: boolean): Prepared {
  const batch = trainingBatch(job);
  const images = place(batch.images, [job.batch, layerSizes[0]]);
  const labels = place(oneHot(batch.labels, layerSizes[3]), [job.batch, layerSizes[3]]);
  let state = initialState();
  // The state is one tree; jax-js types its jitted functions by trees of arrays, which an interface is not.
  const jitted = jit(step as unknown as (...inputs: unknown[]) => np.Array[]) as unknown as typeof step & {
    dispose(): void;
  };
  /** Gives the loss, which is ready when the whole step is. */
  const start = (): np.Array => {
    const [loss, next] = jitted(state, images.ref, labels.ref);
    state = next;
    return loss;
  };
  const advance = async (): Promise<np.Array> => {
    const loss = start();
    await blockUntilReady([loss, ...state.parameters, ...state.means, ...state.squares, state.steps]);
    return loss;
  };
  const queue = new Queue();
  return {
    run: queued ? () => queue.add(start()) : async () => (await advance()).dispose(),
    ...(queued ? { finish: () => queue.finish() } : {}),
    reset: () => {
      disposeState(state);
      state = initialState();
    },
    result: async () => {
      const losses = new Float32Array(checkedSteps);
      for (let index = 0; index < checkedSteps; index++) losses[index] = (await (await advance()).data())[0]!;
      return losses;
    },
    dispose: () => {
      disposeState(state);
      images.dispose();
      labels.dispose();
      jitted.dispose();
    },
  };
}
