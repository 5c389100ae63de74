// Long and wide graphs compile on the default stack, traced or eager.
import { compile, ready, setBackend, type Tensor, tensor } from "sinter";
import { describe, expect, test } from "vitest";
import { fullRun } from "./support/fuzz.ts";
import { gpuMachine } from "./support/gpu.ts";

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

async function near(found: Tensor, expected: Tensor): Promise<void> {
  const wanted = expected.dataSync();
  for (const [i, x] of (await found.data()).entries())
    expect(Math.abs(Number(x) - Number(wanted[i]))).toBeLessThan(1e-4 * (1 + Math.abs(Number(wanted[i]))));
}

const machine = await gpuMachine("Long chains on WebGPU");
if (machine !== undefined) await ready("webgpu");

describe("2000 ops in a row", () => {
  for (const [name, step] of Object.entries(chains)) {
    test(name, async () => {
      const x = tensor(start);
      const expected = compile(chain(step), { backend: "reference" })(x);
      await near(compile(chain(step))(x), expected);
      await near(chain(step)(x), expected);
    });
    // A driver copies each function to where it is called, and that of a sine is long: minutes for thousands of them.
    if (name === "sin") continue;
    test.skipIf(machine === undefined)(`${name} on WebGPU`, async () => {
      const x = tensor(start);
      const expected = compile(chain(step), { backend: "reference" })(x);
      await near(compile(chain(step), { backend: "webgpu" })(x), expected);
      if (!fullRun) return;
      setBackend("webgpu");
      try {
        await near(chain(step)(tensor(start)), expected);
      } finally {
        setBackend("wasm");
      }
    });
  }
});

test("more terms than a function of WebAssembly takes parameters", async () => {
  const x = tensor(start);
  const expected = compile(wide, { backend: "reference" })(x);
  await near(compile(wide)(x), expected);
  await near(wide(x), expected);
});
