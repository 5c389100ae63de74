/** Square roots by Newton's iteration, until the worst of them has converged: how many rounds depends on the data. */
import { compile, type Tensor, tensor } from "sinter";
import { contest, example, scalars } from "./example.ts";
import { squareRoots as plain } from "./plain.ts";

export const squareRoots = compile(
  (a: Tensor, tolerance: number) => {
    let x = a.maximum(1);
    let worst = tensor(Number.POSITIVE_INFINITY);
    let rounds = 0;
    while (worst.gt(tolerance)) {
      const next = x.add(a.div(x)).mul(0.5);
      worst = next.sub(x).abs().div(next).max();
      x = next;
      rounds++;
    }
    return { roots: x, rounds };
  },
  { name: "squareRoots" },
);

export const newtonExample = example({
  title: "Newton, 100,000 square roots to 1e-6",
  make(small) {
    const a = Float32Array.from({ length: small ? 50 : 100_000 }, (_, i) => 0.5 + ((i * 7919) % 10_007) / 10);
    const as = tensor(a);
    return contest({
      compiled: () => squareRoots(as, 1e-6),
      values: ({ roots, rounds }) => [...scalars(rounds), ...roots.dataSync()],
      plain: () => plain(a, 1e-6),
      plainValues: ({ roots, rounds }) => [rounds, ...roots],
      tolerance: 0,
    });
  },
});

if (process.argv[1] === import.meta.filename) newtonExample.show();
