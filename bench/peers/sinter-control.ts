// The jobs with loops on Sinter: the compiled functions of examples/control, whose source has ordinary loops. Import this
// file after "sinter/register", which transforms them.
import { type Tensor, tensor } from "sinter";
import { relax } from "../../examples/control/jacobi.ts";
import { train } from "../../examples/control/linear-regression.ts";
import { mandelbrot as escapeCounts } from "../../examples/control/mandelbrot.ts";
import { lossAndGradients } from "../../examples/control/rnn.ts";
import { jacobiInput, mandelbrotInputs, regressionInputs, regressionRate, rnnInputs } from "../harness/inputs.ts";
import type { JobOf, Prepared } from "../harness/job.ts";

export function linearRegression(job: JobOf<"linear-regression">): Prepared {
  const inputs = regressionInputs(job);
  const [x, y] = [tensor(inputs.x), tensor(inputs.y)];
  return prepared(
    () => {
      const { w, b } = train(x, y, job.steps, regressionRate);
      return [w, b];
    },
    () => train.lower(x, y, job.steps, regressionRate).cost(),
    [x, y],
  );
}

export function mandelbrot(job: JobOf<"mandelbrot">): Prepared {
  const inputs = mandelbrotInputs(job);
  const shape = [job.size, job.size];
  const [re, im] = [tensor(inputs.re, { shape }), tensor(inputs.im, { shape })];
  return prepared(
    () => [escapeCounts(re, im, job.limit)],
    () => escapeCounts.lower(re, im, job.limit).cost(),
    [re, im],
  );
}

export function jacobi(job: JobOf<"jacobi">): Prepared {
  const start = tensor(jacobiInput(job), { shape: [job.size, job.size] });
  return prepared(
    () => [relax(start, job.steps)],
    () => relax.lower(start, job.steps).cost(),
    [start],
  );
}

export function rnn(job: JobOf<"rnn">): Prepared {
  const { steps, batch, hidden } = job;
  const inputs = rnnInputs(job);
  const weights = {
    input: tensor(inputs.input, { shape: [hidden, hidden] }),
    recurrent: tensor(inputs.recurrent, { shape: [hidden, hidden] }),
    bias: tensor(inputs.bias),
  };
  const x = tensor(inputs.x, { shape: [steps, batch, hidden] });
  return prepared(
    () => {
      const [loss, { input, recurrent, bias }] = lossAndGradients(weights, x);
      return [loss, input, recurrent, bias];
    },
    () => lossAndGradients.lower(weights, x).cost(),
    [weights.input, weights.recurrent, weights.bias, x],
  );
}

/** Results stay in the heap and are freed; as values they are put one after the other. */
function prepared(call: () => Tensor[], cost: () => { readonly kernels: number }, inputs: readonly Tensor[]): Prepared {
  return {
    run: () => {
      for (const each of call()) each.dispose();
    },
    result: () => {
      const values: number[] = [];
      for (const each of call()) {
        for (const value of each.dataSync()) values.push(value);
        each.dispose();
      }
      return Float32Array.from(values);
    },
    facts: { kernels: cost().kernels },
    dispose: () => {
      for (const each of inputs) each.dispose();
    },
  };
}
