// The jobs with loops in plain loops over typed arrays.
import {
  jacobi as plainJacobi,
  mandelbrot as plainMandelbrot,
  linearRegression as plainRegression,
} from "../../examples/control/plain.ts";
import { rnnGradients } from "../../examples/control/plain-rnn.ts";
import { jacobiInput, mandelbrotInputs, regressionInputs, regressionRate, rnnInputs } from "../harness/inputs.ts";
import type { JobOf, Prepared } from "../harness/job.ts";

export function linearRegression(job: JobOf<"linear-regression">): Prepared {
  const { x, y } = regressionInputs(job);
  return prepared(
    () => plainRegression(x, y, job.steps, regressionRate),
    ({ w, b }) => [w, b],
  );
}

export function mandelbrot(job: JobOf<"mandelbrot">): Prepared {
  const { re, im } = mandelbrotInputs(job);
  return prepared(
    () => plainMandelbrot(re, im, job.limit),
    (counts) => counts,
  );
}

export function jacobi(job: JobOf<"jacobi">): Prepared {
  const start = jacobiInput(job);
  return prepared(
    () => plainJacobi(start, job.size, job.steps),
    (grid) => grid,
  );
}

export function rnn(job: JobOf<"rnn">): Prepared {
  const { x, ...weights } = rnnInputs(job);
  const size = { steps: job.steps, batch: job.batch, inputs: job.hidden, hidden: job.hidden };
  return prepared(
    () => rnnGradients(size, weights, x),
    ({ loss, input, recurrent, bias }) => [loss, ...input, ...recurrent, ...bias],
  );
}

function prepared<R>(call: () => R, values: (result: R) => ArrayLike<number>): Prepared {
  return { run: () => void call(), result: () => Float32Array.from(values(call())), dispose: () => {} };
}
