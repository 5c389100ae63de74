// The jobs with loops on jax-js, which has none: they are unrolled while a jitted function is traced.
import { blockUntilReady, jit, numpy as np, valueAndGrad } from "@jax-js/jax";
import { mandelbrotInputs, regressionInputs, regressionRate, rnnInputs } from "../harness/inputs.ts";
import type { JobOf, Prepared } from "../harness/job.ts";

/** Steps of one jitted call: more compile for long, fewer make more calls. */
const unrolledSteps = 50;

type Jitted<F> = F & { dispose(): void };

/** jax-js types its jitted functions by trees of arrays; ours are plain tuples of them. */
function jitted<F extends (...inputs: np.Array[]) => np.Array[]>(compute: F): Jitted<F> {
  return jit(compute as unknown as (...inputs: unknown[]) => np.Array[]) as unknown as Jitted<F>;
}

function place(values: Float32Array, shape: readonly number[]): np.Array {
  return np.array(values as Float32Array<ArrayBuffer>, { shape: [...shape] });
}

export function linearRegression(job: JobOf<"linear-regression">): Prepared {
  const inputs = regressionInputs(job);
  const x = place(inputs.x, [job.points]);
  const y = place(inputs.y, [job.points]);
  const scale = (2 * regressionRate) / job.points;
  const advance = jitted((...[w, b, xs, ys]: np.Array[]) => {
    let [slope, offset] = [w!, b!];
    for (let step = 0; step < unrolledSteps; step++) {
      const error = xs!.ref.mul(slope.ref).add(offset.ref).sub(ys!.ref);
      slope = slope.sub(error.ref.mul(xs!.ref).sum().mul(scale));
      offset = offset.sub(error.sum().mul(scale));
    }
    xs!.dispose();
    ys!.dispose();
    return [slope, offset];
  });
  const train = async (): Promise<np.Array[]> => {
    let state = [np.array(0, { dtype: np.float32 }), np.array(0, { dtype: np.float32 })];
    for (let step = 0; step < job.steps; step += unrolledSteps) {
      state = advance(state[0]!, state[1]!, x.ref, y.ref);
      await blockUntilReady(state);
    }
    return state;
  };
  return prepared(train, advance, [x, y]);
}

export function mandelbrot(job: JobOf<"mandelbrot">): Prepared {
  const inputs = mandelbrotInputs(job);
  const re = place(inputs.re, [job.size, job.size]);
  const im = place(inputs.im, [job.size, job.size]);
  const rounds = jitted((...[cr, ci]: np.Array[]) => {
    let zr = np.zerosLike(cr!.ref);
    let zi = np.zerosLike(cr!.ref);
    let count = np.zerosLike(cr!.ref);
    for (let k = 0; k < job.limit; k++) {
      const rr = zr.ref.mul(zr.ref);
      const ii = zi.ref.mul(zi.ref);
      // What has escaped only grows, and NaN compares as false: the count needs no other mask.
      count = count.add(rr.ref.add(ii.ref).lessEqual(4).astype(np.float32));
      zi = zr.mul(2).mul(zi).add(ci!.ref);
      zr = rr.sub(ii).add(cr!.ref);
    }
    for (const each of [zr, zi, cr!, ci!]) each.dispose();
    return [count];
  });
  return prepared(() => Promise.resolve(rounds(re.ref, im.ref)), rounds, [re, im]);
}

export function rnn(job: JobOf<"rnn">): Prepared {
  const { steps, batch, hidden } = job;
  const inputs = rnnInputs(job);
  const weights = [
    place(inputs.input, [hidden, hidden]),
    place(inputs.recurrent, [hidden, hidden]),
    place(inputs.bias, [hidden]),
  ];
  const x = place(inputs.x, [steps, batch, hidden]);
  const loss = (parameters: np.Array[], xs: np.Array): np.Array => {
    const [input, recurrent, bias] = parameters as [np.Array, np.Array, np.Array];
    // The product with the inputs needs no step before it: one for all.
    const projected = np.matmul(xs, input).add(bias);
    let h = np.zeros([batch, hidden]);
    let sum = np.array(0, { dtype: np.float32 });
    for (let t = 0; t < steps; t++) {
      h = np.tanh(projected.ref.slice(t).add(np.matmul(h, recurrent.ref)));
      sum = sum.add(h.ref.mul(h.ref).sum());
    }
    for (const each of [projected, recurrent, h]) each.dispose();
    return sum.mul(1 / (steps * batch * hidden));
  };
  const step = jitted((...[input, recurrent, bias, xs]: np.Array[]) => {
    const [value, gradients] = valueAndGrad(loss)([input!, recurrent!, bias!], xs!);
    return [value, ...gradients];
  });
  const call = (): Promise<np.Array[]> =>
    Promise.resolve(step(weights[0]!.ref, weights[1]!.ref, weights[2]!.ref, x.ref));
  return prepared(call, step, [...weights, x]);
}

/** Results are waited for on the device; as values they are put one after the other. */
function prepared(call: () => Promise<np.Array[]>, compiled: { dispose(): void }, inputs: np.Array[]): Prepared {
  return {
    run: async () => {
      const outputs = await call();
      await blockUntilReady(outputs);
      for (const each of outputs) each.dispose();
    },
    result: async () => {
      const values: number[] = [];
      for (const each of await call()) for (const value of await each.data()) values.push(value);
      return Float32Array.from(values);
    },
    dispose: () => {
      for (const each of inputs) each.dispose();
      compiled.dispose();
    },
  };
}
