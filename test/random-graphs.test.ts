// Random graphs compiled in every form against the reference evaluator; before and after simplification; their
// gradients; and fused against unfused bit for bit where no sums are reordered.
import { type DType, evalGraph, type HostTensor, isFloat, type OpDef, parseGraph, type Rng, typeOf } from "@sinter/ir";
import { gradGraph, simplify } from "@sinter/passes";
import { describe, expect, test } from "vitest";
import { onWasmAlone } from "./support/asked-checks.ts";
import { checkForms, checkSameBits } from "./support/check-forms.ts";
import { choppedForms, forms } from "./support/compiled.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";
import { isExact, isSmooth, showsBits } from "./support/op-kinds.ts";
import { randomTensor, seededRng, type Tolerance } from "./support/random.ts";
import { checkRandomGraphs, type GraphCase } from "./support/random-graph.ts";

await alsoOnWebgpu("Random graphs");

const folds = (op: OpDef): boolean => op.nest.kind === "reduce" || op.nest.kind === "cumulate";

// Sums are taken in another order: what cancels afterwards is only as near as what it came from.
const near: Tolerance = { ulp: 16, relative: 1e-4, absolute: 1e-4 };

const specials: Partial<Record<DType, readonly number[]>> = {
  f32: [Number.NaN, Infinity, -Infinity, 0, -0, 1e-42, 3.4e38, -3.4e38],
  f64: [Number.NaN, Infinity, -Infinity, 0, -0, 5e-324, 1.7e308, -1.7e308],
  i32: [2147483647, -2147483648, -1, 0, 31, 32],
  u32: [4294967295, 2147483648, 0, 31, 32],
};

/** The tensor with about every sixth element special. */
function withSpecials(tensor: HostTensor, rng: Rng): HostTensor {
  const values = specials[tensor.dtype];
  if (values === undefined) return tensor;
  const data = tensor.data.slice();
  for (const i of data.keys()) if (rng.int(0, 5) === 0) data[i] = rng.pick(values);
  return { ...tensor, data };
}

describe("compiled graphs agree with the reference evaluator", () => {
  test("bit for bit where every op is exact", () => {
    checkRandomGraphs(({ graph, args }) => checkForms(graph, args), {
      runs: fuzzRuns(40),
      webgpu: fuzzRuns(10, 110),
      accept: isExact,
      exact: true,
    });
  });

  test("nearly where ops are accurate to some ulp", () => {
    checkRandomGraphs(({ graph, args }) => checkForms(graph, args, { tolerance: near, byRounding: true }), {
      runs: fuzzRuns(40),
      webgpu: fuzzRuns(8, 80),
      accept: isSmooth,
      seed: 1000,
    });
  });

  test("on NaN, infinities, zeros of both signs and the ends of integers", () => {
    checkRandomGraphs(
      ({ graph, args }, rng) =>
        checkForms(
          graph,
          args.map((arg) => withSpecials(arg, rng)),
        ),
      {
        runs: fuzzRuns(25),
        webgpu: fuzzRuns(6, 60),
        accept: (op) => isExact(op) && !showsBits(op),
        exact: true,
        seed: 9000,
      },
    );
  });

  test("in shared memory too", () => {
    checkRandomGraphs(({ graph, args }) => checkForms(graph, args, { memories: ["shared"], forms: forms.slice(3) }), {
      runs: fuzzRuns(20),
      accept: isExact,
      exact: true,
      seed: 2000,
    });
  });

  test("with every loop in chunks", () => {
    checkRandomGraphs(({ graph, args }) => checkForms(graph, args, { forms: choppedForms }), {
      runs: fuzzRuns(20),
      accept: isExact,
      exact: true,
      seed: 8000,
    });
  });

  test("when they are large", () => {
    checkRandomGraphs(({ graph, args }) => checkForms(graph, args), {
      runs: fuzzRuns(6),
      webgpu: fuzzRuns(2, 10),
      accept: isExact,
      exact: true,
      size: 40,
      seed: 3000,
    });
  });
});

test("simplification changes no bit of what is compiled", () => {
  checkRandomGraphs(
    ({ graph, args }) => checkForms(simplify(graph), args, { expected: evalGraph(graph, args), forms: forms.slice(2) }),
    { runs: fuzzRuns(25), webgpu: fuzzRuns(2, 40), accept: isExact, exact: true, seed: 4000 },
  );
});

test("fusion and schedules change no bit where nothing is summed up", () => {
  checkRandomGraphs(
    ({ graph, args }) => {
      const [generic, , unfused, fused] = forms as readonly [
        (typeof forms)[0],
        unknown,
        (typeof forms)[0],
        (typeof forms)[0],
      ];
      checkSameBits(graph, args, [generic, fused]);
      checkSameBits(graph, args, [unfused, fused]);
    },
    { runs: fuzzRuns(40), accept: (op) => !folds(op), seed: 5000 },
  );
});

test("gradients of random graphs, fused", () => {
  checkRandomGraphs(
    (one) => {
      const gradients = gradientsOf(one);
      if (gradients === undefined) return;
      const expected = evalGraph(gradients.graph, gradients.args);
      if (expected.some(wild)) return;
      checkForms(gradients.graph, gradients.args, {
        expected,
        tolerance: near,
        byRounding: true,
        forms: forms.slice(2),
      });
    },
    {
      runs: fuzzRuns(30),
      webgpu: fuzzRuns(6, 60),
      accept: (op) => isSmooth(op) && op.derivative.kind !== "none",
      seed: 6000,
    },
  );
});

test("only an element that makes much of a last digit may be far off", () => {
  const x: HostTensor = { dtype: "f32", shape: [2], data: Float32Array.of(0, 16.5) };
  const graph = parseGraph(`graph @steep(%x: f32[2]) {
  %s = logistic %x : f32[2]
  %one = const {dtype=f32, shape=[], data=[1]} : f32[]
  %ones = broadcast %one {shape=[2], dims=[]} : f32[2]
  %d = sub %ones, %s : f32[2]
  %k = const {dtype=f32, shape=[], data=[10000]} : f32[]
  %ks = broadcast %k {shape=[2], dims=[]} : f32[2]
  %out = mul %d, %ks : f32[2]
  return %out
}
`);
  const [right] = evalGraph(graph, [x]);
  const check = (at: number, factor: number, byRounding = true): void => {
    const data = right!.data.slice();
    data[at]! *= factor;
    onWasmAlone(() => checkForms(graph, [x], { expected: [{ ...right!, data }], tolerance: near, byRounding }));
  };
  check(1, 2);
  expect(() => check(1, 2, false)).toThrow("1 of 2 elements differ, first [1]");
  expect(() => check(0, 1.001)).toThrow("1 of 2 elements differ, first [0]");
  expect(() => check(1, 100)).toThrow("1 of 2 elements differ, first [1]");
});

/** The gradients of the first float result with respect to all float parameters. */
function gradientsOf({ graph, args }: GraphCase): GraphCase | undefined {
  const floats = graph.params.flatMap(({ value }, i) => (isFloat(typeOf(value).dtype) ? [i] : []));
  const of = graph.results.findIndex(({ kind, value }) => kind === "out" && isFloat(typeOf(value).dtype));
  if (of < 0 || floats.length === 0) return undefined;
  const gradients = simplify(gradGraph(graph, { wrt: floats, of, keepResults: true }));
  // A result that is no scalar takes a cotangent.
  const more = gradients.params.slice(graph.params.length).map(({ value }) => {
    return randomTensor(seededRng(1), { type: typeOf(value), lo: -1, hi: 1 });
  });
  return { graph: gradients, args: [...args, ...more] };
}

/** Derivatives near a pole: no digit of them is certain. */
function wild({ data }: HostTensor): boolean {
  return data.some((x) => !(Math.abs(x) < 1e4));
}
