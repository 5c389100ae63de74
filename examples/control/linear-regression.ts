/** Linear regression by gradient descent: ten thousand steps, written as an ordinary `for` loop, in one compiled call. */
import { compile, type Tensor, tensor } from "sinter";
import { contest, example, scalars } from "./example.ts";
import { linearRegression as plain } from "./plain.ts";

export const train = compile(
  (x: Tensor, y: Tensor, steps: number, rate: number) => {
    let w = tensor(0, { dtype: "f32" });
    let b = tensor(0, { dtype: "f32" });
    for (let step = 0; step < steps; step++) {
      const error = x.mul(w).add(b).sub(y);
      w = w.sub(
        error
          .mul(x)
          .mean()
          .mul(2 * rate),
      );
      b = b.sub(error.mean().mul(2 * rate));
    }
    return { w, b };
  },
  { name: "linearRegression" },
);

export const linearRegressionExample = example({
  title: "Linear regression, 100 points, 10,000 steps",
  make(small) {
    const steps = small ? 50 : 10_000;
    const rate = small ? 0.1 : 5e-4;
    const x = Float32Array.from({ length: 100 }, (_, i) => i / 50 - 1);
    const y = x.map((value, i) => 3 * value - 0.5 + ((i * 37) % 11) / 100);
    const [xs, ys] = [tensor(x), tensor(y)];
    return contest({
      compiled: () => train(xs, ys, steps, rate),
      values: ({ w, b }) => scalars(w, b),
      plain: () => plain(x, y, steps, rate),
      plainValues: ({ w, b }) => [w, b],
      tolerance: 1e-3,
    });
  },
});

if (process.argv[1] === import.meta.filename) linearRegressionExample.show();
