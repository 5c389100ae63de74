/** A tanh network over 64 steps, forward and backward through time, with `scan`: the program is as large for any length. */
import { compile, scan, type Tensor, tensor, valueAndGrad, zeros } from "sinter";
import { contest, example } from "./example.ts";
import { type RnnSize, rnnGradients } from "./plain-rnn.ts";

interface Weights {
  readonly input: Tensor;
  readonly recurrent: Tensor;
  readonly bias: Tensor;
}

/** The mean square of all hidden states; x is [steps, batch, inputs]. */
function loss({ input, recurrent, bias }: Weights, x: Tensor): Tensor {
  const start = zeros([x.shape[1]!, bias.shape[0]!]);
  const [, states] = scan(
    (h: Tensor, now: Tensor) => {
      const next = now.matmul(input).add(h.matmul(recurrent)).add(bias).tanh();
      return [next, next];
    },
    start,
    x,
  );
  return states.square().mean();
}

export const lossAndGradients = compile(valueAndGrad(loss), { name: "rnn" });

export const rnnExample = example({
  title: "tanh network, 64 steps, batch 32, hidden 128, forward and backward",
  make(small) {
    const size: RnnSize = small
      ? { steps: 7, batch: 3, inputs: 5, hidden: 6 }
      : { steps: 64, batch: 32, inputs: 128, hidden: 128 };
    const { steps, batch, inputs, hidden } = size;
    const scale = 1 / Math.sqrt(hidden);
    const numbers = (n: number, by: number): Float32Array =>
      Float32Array.from({ length: n }, (_, i) => by * (((i * 7919) % 2003) / 1001 - 1));
    const weights = {
      input: numbers(inputs * hidden, scale),
      recurrent: numbers(hidden * hidden, scale),
      bias: numbers(hidden, scale),
    };
    const x = numbers(steps * batch * inputs, 1);
    const parameters = {
      input: tensor(weights.input, { shape: [inputs, hidden] }),
      recurrent: tensor(weights.recurrent, { shape: [hidden, hidden] }),
      bias: tensor(weights.bias),
    };
    const sequence = tensor(x, { shape: [steps, batch, inputs] });
    return contest({
      compiled: () => lossAndGradients(parameters, sequence),
      values: ([value, { input, recurrent, bias }]) =>
        [value, input, recurrent, bias].flatMap((each) => [...each.dataSync()]),
      plain: () => rnnGradients(size, weights, x),
      plainValues: (found) => [found.loss, ...found.input, ...found.recurrent, ...found.bias],
      tolerance: 1e-5,
    });
  },
});

if (process.argv[1] === import.meta.filename) rnnExample.show();
