/**
 * What is exported for the tests of hosts: functions, the calls that are made of them, and what the compiled functions
 * answer. Small, but for the classifier of digits.
 */
import {
  assert,
  bundleFiles,
  compile,
  cond,
  fori,
  gradients,
  print,
  random,
  scan,
  spec,
  Tensor,
  tensor,
  type Variable,
  variable,
  whileLoop,
  zeros,
} from "sinter";
import { Classifier } from "../../examples/digits/model.ts";
import { type Call, type Encoded, encode } from "./job.ts";

export interface Case {
  readonly name: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly calls: readonly Call[];
  /** What the compiled functions answered, call by call. */
  readonly expected: readonly Encoded[];
  /** What the calls print. */
  readonly printed: readonly string[];
}

type Compiled = (...args: never[]) => unknown;
/** A call: the function's name and its arguments. */
type Made = readonly [name: string, ...args: unknown[]];

/** Exports the functions as they are before the calls, then makes the calls. */
function made(
  name: string,
  functions: Readonly<Record<string, Compiled>>,
  inputs: Readonly<Record<string, readonly unknown[]>>,
  calls: readonly Made[],
  { weights = "file", printed = [] }: { weights?: "file" | "embed"; printed?: readonly string[] } = {},
): Case {
  const files = bundleFiles(functions, { name, inputs: inputs as Readonly<Record<string, never>>, weights });
  return {
    name,
    files,
    calls: calls.map(([called, ...args]) => ({ function: called, args: args.map(encodeTensors) })),
    printed,
    expected: calls.map(([called, ...args]) => encodeTensors(functions[called]!(...(args as never[])))),
  };
}

/** A tree with tensors, as bundles and jobs have it. */
function encodeTensors(value: unknown): Encoded {
  const plain = (part: unknown): unknown => {
    if (part instanceof Tensor) return { dtype: part.dtype, shape: part.shape, data: part.dataSync() };
    if (Array.isArray(part)) return part.map(plain);
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, plain(item)]));
  };
  return encode(plain(value));
}

const numbers = (shape: readonly number[], seed: number): Tensor => random.normal(random.key(seed), shape);

function digits(): Case {
  const model = new Classifier();
  const predict = compile((images: Tensor) => {
    const scores = model.logits(images).softmax(-1);
    return { scores, digit: scores.argMax(-1) };
  });
  const images = random.uniform(random.key(1), [4, 784], 0, 1);
  const calls = [images, images.mul(0.5)].map((each): Made => ["predict", each]);
  return made("digits", { predict }, { predict: [images] }, calls);
}

/** A small perceptron whose weights are in the program. */
export function embedded(): Case {
  const weights = [numbers([5, 9], 2), numbers([9, 3], 3)].map((start) => variable(start));
  const predict = compile((x: Tensor) => {
    const scores = x.matmul(weights[0]!).tanh().matmul(weights[1]!).softmax(-1);
    return { best: scores.argMax(-1), scores };
  });
  const inputs = [numbers([7, 5], 4), numbers([7, 5], 5)];
  return made(
    "embedded",
    { predict },
    { predict: [inputs[0]] },
    inputs.map((x): Made => ["predict", x]),
    { weights: "embed" },
  );
}

/** A small perceptron with Adam, exported with two functions over the same variables. */
function training(): Case {
  const parameter = (start: Tensor, name: string) => ({
    value: variable(start, { name }),
    mean: variable(zeros(start.shape), { name: `${name}.mean`, trainable: false }),
    square: variable(zeros(start.shape), { name: `${name}.square`, trainable: false }),
  });
  const layers = [parameter(numbers([5, 9], 2), "w1"), parameter(numbers([9, 3], 3), "w2")] as const;
  const steps = variable(tensor(0, { dtype: "f32" }), { name: "steps", trainable: false });
  const predict = (x: Tensor): Tensor => x.matmul(layers[0].value).tanh().matmul(layers[1].value);
  const step = (x: Tensor, y: Tensor): Tensor => {
    const { value, grads } = gradients(
      () => predict(x).sub(y).square().mean(),
      layers.map((layer): Variable => layer.value),
    );
    steps.assignAdd(1);
    for (const [i, { value: weights, mean, square }] of layers.entries()) {
      mean.assign(mean.mul(0.9).add(grads[i]!.mul(0.1)));
      square.assign(square.mul(0.99).add(grads[i]!.square().mul(0.01)));
      const debiased = mean.div(tensor(1).sub(tensor(0.9).pow(steps)));
      weights.assignSub(debiased.mul(0.05).div(square.sqrt().add(1e-8)));
    }
    return value;
  };
  const batch = (seed: number): Made => ["step", numbers([8, 5], seed), numbers([8, 3], seed + 1)];
  const inputs = { step: batch(20).slice(1), predict: [numbers([2, 5], 4)] };
  return made("training", { step: compile(step), predict: compile(predict) }, inputs, [
    ...[20, 22, 24, 26, 28, 30].map(batch),
    ["predict", numbers([2, 5], 4)],
  ]);
}

export function control(): Case {
  const halve = compile((x: Tensor) => {
    assert(x.max().lt(1e6), "too large");
    const [small, rounds] = whileLoop(
      ([value]) => value.abs().max().gt(1),
      ([value, n]) => [value.mul(0.5), n.add(1)] as const,
      [x, tensor(0, { dtype: "i32" })] as const,
    );
    const sign = cond(
      x.sum().gt(0),
      () => small.exp(),
      () => small.neg(),
    );
    const [, sums] = scan((total: Tensor, row: Tensor) => [total.add(row), total.mul(row)], zeros([3]), small);
    return { rounds, sign, sums, power: fori(0, 5, (_, at: Tensor) => at.mul(at.add(0.1)), small) };
  });
  const inputs = [numbers([4, 3], 5).mul(40), numbers([4, 3], 6).abs().neg()];
  return made(
    "control",
    { halve },
    { halve: [inputs[0]] },
    inputs.map((x): Made => ["halve", x]),
  );
}

function types(): Case {
  interface Given {
    readonly pair: readonly [Tensor, Tensor];
    readonly mask: Tensor;
    readonly mode: string;
    readonly scale: number;
  }
  const mix = compile(({ pair: [wide, whole], mask, mode, scale }: Given, offset: Tensor) => ({
    mode,
    sum: wide.sum().add(1 / 3),
    nested: [
      { whole: whole.mul(scale).add(offset), flags: mask.not() },
      { twice: 2, none: null },
    ],
    bits: whole.cast("u32").mul(3),
    picked: mask.where(wide, wide.div(0)),
  }));
  const given: Given = {
    pair: [tensor(Float64Array.of(0.1, -0, 1e300, Number.NaN)), tensor([3, -4, 5, 2147483647], { dtype: "i32" })],
    mask: tensor([true, false, true, true]),
    mode: "both",
    scale: 3,
  };
  const args = [given, tensor(7, { dtype: "i32" })];
  return made("types", { mix }, { mix: args }, [["mix", ...args]]);
}

function printing(): Case {
  const noisy = compile((x: Tensor) => {
    const y = x.mul(2);
    print("twice {} is {}", x, y);
    return y.sum();
  });
  const x = tensor([1, 2.5, -3]);
  return made("printing", { noisy }, { noisy: [x] }, [["noisy", x]], {
    printed: ["twice [1, 2.5, -3] is [2, 5, -6]"],
  });
}

/** One program for batches of every size, the memory of which grows between calls. */
function batches(): Case {
  const weights = variable(numbers([5, 3], 2), { name: "weights" });
  const [x, y] = [spec(["batch", 5]), spec(["batch", 3])];
  const predict = compile((x: Tensor) => x.matmul(weights).softmax(-1), { signature: [x] });
  const fit = (x: Tensor, y: Tensor): Tensor => {
    const { value, grads } = gradients(() => x.matmul(weights).sub(y).square().mean(), [weights]);
    weights.assignSub(grads[0]!.mul(0.1));
    return value;
  };
  const step = compile(fit, { signature: [x, y] });
  const train = (n: number): Made => ["step", numbers([n, 5], n), numbers([n, 3], n + 1)];
  return made("batches", { predict, step }, {}, [
    ["predict", numbers([1, 5], 4)],
    train(7),
    train(3000),
    ["predict", numbers([64, 5], 4)],
    train(2),
  ]);
}

/** All cases, the largest last. */
export function allCases(): readonly Case[] {
  return [training(), control(), types(), printing(), batches(), embedded(), digits()];
}
