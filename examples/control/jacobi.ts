/** A Jacobi stencil: a hundred steps over a grid, each point becoming the mean of its four neighbours; the edge stays. */
import { compile, type Tensor, tensor } from "sinter";
import { contest, example } from "./example.ts";
import { jacobi as plain } from "./plain.ts";

export const relax = compile(
  (start: Tensor, steps: number) => {
    const n = start.shape[0]!;
    const inner = [n - 2, n - 2];
    let u = start;
    for (let step = 0; step < steps; step++) {
      const above = u.slice([0, 1], inner);
      const below = u.slice([2, 1], inner);
      const left = u.slice([1, 0], inner);
      const right = u.slice([1, 2], inner);
      const mean = above.add(below).add(left).add(right).mul(0.25);
      u = u.set(
        [
          [1, n - 1],
          [1, n - 1],
        ],
        mean,
      );
    }
    return u;
  },
  { name: "jacobi" },
);

export const jacobiExample = example({
  title: "Jacobi stencil, 1024x1024, 100 steps",
  make(small) {
    const n = small ? 18 : 1024;
    const steps = small ? 20 : 100;
    // The left edge is hot.
    const start = Float32Array.from({ length: n * n }, (_, i) => (i % n === 0 ? 1 : 0));
    const grid = tensor(start, { shape: [n, n] });
    return contest({
      compiled: () => relax(grid, steps),
      values: (u) => u.dataSync(),
      plain: () => plain(start, n, steps),
      plainValues: (u) => u,
      tolerance: 1e-6,
    });
  },
});

if (process.argv[1] === import.meta.filename) jacobiExample.show();
