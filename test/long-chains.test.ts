// Long and wide graphs compile on the default stack, traced or eager.
import { compile, type Tensor, tensor } from "sinter";
import { describe, expect, test } from "vitest";

const steps = 2000;
const terms = 1200;
const start = [0.25, 0.5, 1];

const chains: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  tanh: (x) => x.tanh().add(0.125),
  sin: (x) => x.sin().add(0.125),
  add: (x) => x.add(0.125),
  "with a second use": (x) => x.tanh().mul(x).add(0.5),
};

function chain(step: (x: Tensor) => Tensor): (x: Tensor) => Tensor {
  return (x) => {
    let y = x;
    for (let i = 0; i < steps; i++) y = step(y);
    return y;
  };
}

/** A sum of many functions, pairwise. */
function wide(x: Tensor): Tensor {
  let sums = Array.from({ length: terms }, (_, i) => x.mul(i / terms).sin());
  while (sums.length > 1)
    sums = sums.flatMap((sum, i) => (i % 2 === 1 ? [] : [i + 1 < sums.length ? sum.add(sums[i + 1]!) : sum]));
  return sums[0]!;
}

function near(found: Tensor, expected: Tensor): void {
  const wanted = expected.dataSync();
  for (const [i, x] of found.dataSync().entries())
    expect(Math.abs(Number(x) - Number(wanted[i]))).toBeLessThan(1e-4 * (1 + Math.abs(Number(wanted[i]))));
}

describe("2000 ops in a row", () => {
  for (const [name, step] of Object.entries(chains))
    test(name, () => {
      const x = tensor(start);
      const expected = compile(chain(step), { backend: "reference" })(x);
      near(compile(chain(step))(x), expected);
      near(chain(step)(x), expected);
    });
});

test("more terms than a function of WebAssembly takes parameters", () => {
  const x = tensor(start);
  const expected = compile(wide, { backend: "reference" })(x);
  near(compile(wide)(x), expected);
  near(wide(x), expected);
});
