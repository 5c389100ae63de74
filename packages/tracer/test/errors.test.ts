// What a user sees after a mistake: the function, the argument, both shapes, the line; and nothing is broken afterwards.
import { expect, test } from "vitest";
import * as s from "../src/index.ts";
import { onBackends } from "./support.ts";

const { compile, tensor: t } = s;
const loose = (value: unknown): never => value as never;

onBackends("errors", () => {
  const mistakes: [name: string, body: () => unknown, message: RegExp][] = [
    [
      "ragged rows",
      () => t([[1, 2], [3]]),
      /tensor: the array is ragged: data\[1\] has length 1, data\[0\] has length 2/,
    ],
    ["ragged depth", () => t(loose([[1, 2], 3])), /data\[1\] is 3 where an array of length 2 is expected/],
    ["too deep", () => t(loose([1, [2]])), /data\[1\] is an array of length 1 where a number is expected/],
    ["a string in data", () => t(loose([1, "2"])), /data\[1\] must be a number or a boolean, not the string "2"/],
    ["nothing", () => t(loose(undefined)), /tensor: data must be.*not undefined/],
    ["a shape of another size", () => t([1, 2, 3], { shape: [2, 2] }), /data has 3 elements, shape \[2,2\] has 4/],
    ["an unknown dtype", () => t([1], { dtype: loose("float32") }), /dtype must be f32.*"float32"/],
    ["a size that is not finite", () => s.zeros([2, Number.NaN]), /zeros: shape\[1\] must be a size.*NaN/],
    ["a negative size", () => s.ones([-1]), /ones: shape\[0\].*-1/],
    ["an infinite range", () => s.arange(Number.POSITIVE_INFINITY), /arange: stop must be a finite number/],
    ["a step of zero", () => s.arange(0, 1, 0), /step must not be 0/],
    [
      "shapes that do not broadcast",
      () => t([1, 2]).add([1, 2, 3]),
      /add: shapes do not broadcast: a is f32\[2\], b is f32\[3\]/,
    ],
    [
      "inner sizes",
      () => s.ones([2, 3]).matmul(s.ones([2, 3])),
      /matmul: a is f32\[2,3\], b is f32\[2,3\]: inner sizes 3 and 2 differ; did you mean b\.transpose/,
    ],
    ["matmul of a scalar", () => t(1).matmul(t([1])), /neither may be a scalar/],
    [
      "an axis out of range",
      () => s.ones([2, 3]).sum(2),
      /sum: axis 2 is out of range for a tensor of rank 2 \(-2 to 1\)/,
    ],
    ["a negative axis out of range", () => s.ones([2, 3]).softmax(-3), /softmax: axis -3/],
    ["an axis twice", () => s.ones([2, 3]).sum([0, -2]), /axis 0 is given twice/],
    ["an axis that is not whole", () => s.ones([2]).sum(0.5), /axis must be an integer/],
    ["reshape", () => s.ones([2, 3]).reshape([4, 2]), /reshape: f32\[2,3\] has 6 elements.*\[4,2\]/],
    ["reshape with two unknowns", () => s.ones([2, 3]).reshape([-1, -1]), /reshape/],
    ["transpose", () => s.ones([2, 3]).transpose([0, 0]), /perm \[0,0\] must name each of the 2 axes/],
    [
      "concat",
      () => s.concat([s.ones([2, 3]), s.ones([2, 4])], 0),
      /concat: tensors\[1\] is f32\[2,4\].*tensors\[0\], f32\[2,3\]/,
    ],
    ["concat of nothing", () => s.concat([]), /concat: tensors must be an array with at least one tensor/],
    ["stack", () => s.stack([t([1]), t([1, 2])]), /stack: tensors\[1\] is f32\[2\]/],
    ["split", () => s.ones([5]).split(2), /does not split into 2 equal parts/],
    ["squeeze", () => s.ones([2]).squeeze(0), /squeeze: axis 0 of f32\[2\] has size 2, not 1/],
    ["broadcastTo", () => s.ones([2]).broadcastTo([3]), /f32\[2\] does not broadcast to shape \[3\]/],
    ["slice", () => s.ones([2]).slice(1, 5), /slice: axis 0 of f32\[2\]/],
    ["an index out of range", () => s.ones([2]).at(2), /at: index 2 is out of range for axis 0 of f32\[2\]/],
    ["too many indices", () => s.ones([2]).at(0, 0), /2 indices for f32\[2\]/],
    ["indices that are floats", () => s.ones([2]).gather(t([0.5])), /gather: indices must be integers.*f32\[1\]/],
    [
      "set with a value that does not fit",
      () => s.ones([2, 2]).set(0, [1, 2, 3]),
      /set: value is f32\[3\], the part of x it replaces has shape \[2\]/,
    ],
    ["logic on floats", () => t([1]).and(true), /and: a must be bool, i32 or u32, not f32\[1\]/],
    [
      "einsum labels",
      () => s.einsum("ij,jk->ik", s.ones([2, 3]), s.ones([2, 2])),
      /einsum.*label j is 3.*2 in operand 1/,
    ],
    ["einsum operands", () => s.einsum("ij,jk", s.ones([2, 3])), /2 operands in the text, 1 given/],
    ["the largest of nothing", () => s.zeros([0]).max(), /max: f32\[0\] has no elements/],
    ["item of several", () => t([1, 2]).item(), /item: the tensor f32\[2\] has 2 elements/],
    ["a key that is none", () => s.random.normal(t([1, 2])), /random\.normal: key must be a key/],
    ["an unknown backend", () => s.setBackend(loose("cuda")), /no backend "cuda"/],
    ["compile of no function", () => compile(loose(3)), /compile: fn must be a function, not 3/],
    ["a disposed tensor", () => disposed().add(1), /add: a: the tensor f32\[1\] has been disposed/],
    ["reading a disposed tensor", () => disposed().dataSync(), /dataSync: the tensor f32\[1\] has been disposed/],
    ["a compiled function with a disposed tensor", () => compile((x: s.Tensor) => x.add(1))(disposed()), /disposed/],
    ["plus", () => (t(1) as unknown as number) + 1, /used with a JavaScript operator.*x\.add\(y\)/s],
    ["iteration", () => [...(t([1]) as unknown as Iterable<unknown>)], /was iterated over/],
  ];
  test.each(mistakes)("%s", (_name, body, message) => {
    expect(body).toThrow(message);
    expect(t([1]).add(1).item()).toBe(2);
  });

  const traced: [name: string, body: (x: s.Tensor) => unknown, message: RegExp][] = [
    ["as a number", (x) => Number(x.sum()), /f32\[\] was used as a number while .* is being traced.*made by reduce/],
    ["compared", (x) => (x as unknown as number) > 0, /used as a number/],
    ["as text", (x) => `${x.exp()}`, /used as text or an index while .*made by exp/],
    ["as an index", (x) => [1, 2][x as unknown as number], /used as text/],
    ["iterated", (x) => [...(x as unknown as Iterable<unknown>)], /iterated over while .*it is an input/],
    ["as JSON", (x) => JSON.stringify({ x }), /turned into JSON/],
    ["item", (x) => x.sum().item(), /item: the tensor f32\[\] has no value while/],
    ["dataSync", (x) => x.dataSync(), /dataSync: the tensor f32\[2\] has no value while/],
    ["a shape error inside", (x) => x.add([1, 2, 3]), /add: shapes do not broadcast/],
  ];
  test.each(traced)("while tracing: %s", (_name, body, message) => {
    const f = compile(body as (x: s.Tensor) => unknown, { autograph: false });
    expect(() => f(t([1, 2]))).toThrow(message);
    expect(f.traces).toBe(0);
  });

  test("a tensor of a finished trace", () => {
    let kept: s.Tensor | undefined;
    const f = compile(
      (x: s.Tensor) => {
        kept = x.mul(2);
        return kept;
      },
      { name: "leaky" },
    );
    f(t([1]));
    const message = /from the finished trace of leaky was used outside it/;
    expect(() => kept!.add(1)).toThrow(message);
    expect(() => kept!.dataSync()).toThrow(message);
    expect(() => compile((x: s.Tensor) => x.add(kept!))(t([1]))).toThrow(message);
  });

  test("errors carry the user's line", () => {
    let caught: unknown;
    try {
      t([1, 2]).add([1, 2, 3]);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(s.ShapeError);
    expect((caught as s.ShapeError).where).toMatch(/errors\.test\.ts:\d+:\d+$/);
    expect((caught as Error).message).toMatch(/\n {4}at .*errors\.test\.ts/);
  });

  test("an eager tensor may be printed, awaited and turned into JSON", async () => {
    const x = t([
      [1, 2],
      [3, 4],
    ]);
    expect(`${x}`).toContain("f32[2,2] [[1, 2]");
    expect(JSON.stringify(x)).toBe("[[1,2],[3,4]]");
    expect(await x).toBe(x);
  });
});

function disposed(): s.Tensor {
  const x = t([1]);
  x.dispose();
  x.dispose();
  return x;
}
