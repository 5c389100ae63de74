// Every mistake below has a message that names the function, the argument, shapes and types, and the user's line. They
// stand in messages.txt, to be read as a user reads them; `npx vitest run -u` writes it anew.
import { configureHeap } from "@sinter/runtime";
import { beforeAll, expect, test } from "vitest";
import * as sinter from "../src/index.ts";

/** Programs as a user writes them; `a` is a fresh f32[2,3], `f` compiles under the name f, `w` is a variable f32[2]. */
const mistakes: Readonly<Record<string, readonly string[]>> = {
  "making tensors": [
    "tensor([[1, 2], [3]])",
    "tensor([[[1], [2]], [[3], [4, 5]]])",
    "tensor([1, [2]])",
    'tensor([1, "2"])',
    "tensor(null)",
    "tensor({ a: 1 })",
    "tensor([a, a])",
    "tensor(new BigInt64Array(3))",
    "tensor([1, 2, 3], { shape: [2, 2] })",
    'tensor([1], { dtype: "float32" })',
    'tensor([1], { type: "i32" })',
    'tensor([1], "i32")',
    "zeros([2, NaN])",
    "zeros([Infinity])",
    "ones([-1])",
    "zeros([1.5])",
    'full([2], "x")',
    "eye(-2)",
    "arange(0, 5, 0)",
    "arange(0, NaN)",
    "linspace(0, 1, -1)",
    "zeros([1 << 20, 1 << 20])",
    "outer(zeros([1 << 20]), zeros([1 << 20])).sum()",
    "spec([2, NaN])",
    'spec([2], "float")',
  ],
  operands: [
    "a.add(ones([4]))",
    "a.add(undefined)",
    'a.add("1")',
    "a.add([[1], [2, 3]])",
    "a.and(true)",
    'a.cast("int32")',
    "a.clip(ones([5]))",
    "where(ones([2]), ones([3]), 0)",
    "a.sum(2)",
    "a.softmax(-3)",
    "a.sum(0.5)",
    'a.sum("0")',
    "a.sum([0, -2])",
    "zeros([0]).argMax()",
    "a.matmul(a)",
    "a.matmul(2)",
    "ones([2, 3, 4]).matmul(ones([3, 4, 5]))",
    "a.dot(a)",
    "tensordot(a, a, 1)",
    'einsum("ij,jk->ik", a)',
    'einsum("ij,jk->ik", a, a)',
    'einsum("ijk->i", a)',
    'einsum("ij->k", a)',
    'einsum("i.j->i", a)',
    'einsum("ij->ii", a)',
    "einsum(a, a)",
    "a.reshape([4, 2])",
    "a.reshape([4, -1])",
    "a.transpose([0, 0])",
    "a.transpose(0)",
    "a.squeeze(0)",
    "a.expandDims(5)",
    "a.expandDims()",
    "a.broadcastTo([2, 4])",
    "concat([a, ones([2, 4])], 0)",
    "concat([])",
    "concat(a, a)",
    "stack([a, ones([3])])",
    "a.split(2, 1)",
    "a.split([1, 1], 1)",
    "a.slice([0, 2], [2, 2])",
    "a.slice()",
    "a.at(5)",
    "a.at(0, 0, 0)",
    "a.at(tensor([0.5]))",
    "a.gather([0.5])",
    "a.gather([0], 2)",
    "a.takeAlongAxis(tensor([0, 1], { dtype: 'i32' }), 0)",
    "a.set(0, ones([4]))",
    "oneHot([0, 1], NaN)",
    "a.repeat(-1)",
    "a.roll(0.5)",
    "a.pad([[1, 2]])",
    "a.triu(NaN)",
    "a.item()",
    "random.normal(3, [2])",
    'random.key("a")',
  ],
  "while tracing": [
    "f((x) => x * 2)(a)",
    "f((x) => (x.sum() > 0 ? x : x.neg()))(a)",
    "f((x) => String(x.sum()))(a)",
    "f((x) => { for (const row of x) row.add(1); })(a)",
    "f((x) => JSON.stringify({ x }))(a)",
    "f((x) => x.sum().item())(a)",
    "f((x) => x.add(1).arraySync())(a)",
    "f(async (x) => x)(a)",
    "f((x) => [Promise.resolve(x)])(a)",
    "f((x) => new Map([['a', x]]))(a)",
    "f((x) => () => x)(a)",
    "f((x) => x.add(ones([5])))(a)",
    "f((x) => x.add(variable(1)))(a)",
    "f((x) => variable(x).add(1))(a)",
    "let kept; f((x) => (kept = x.add(1)))(a); kept.add(1)",
    "let kept; f((x) => (kept = x.add(1)))(a); kept.dataSync()",
    "let kept; f((x) => (kept = x.add(1)))(a); String(kept)",
    "let kept; f((x) => (kept = x.add(1)))(a); f((x) => x.add(kept))(a)",
    "let kept; f((x) => (kept = x.add(1)))(a); w.assign(kept)",
  ],
  "compiled functions": [
    "compile(3)",
    'compile((x) => x, { backend: "gpu" })',
    "compile((x) => x, { jit: true })",
    "compile((x) => x, { signature: [[2, 3]] })",
    "f((x) => x.add(1), { signature: [spec([3])] })(a)",
    "f((x) => x.add(1), { signature: [spec([3])] })(a, a)",
    "const g = f((x) => x.add(1), { frozen: true }); g(a); g(ones([9]))",
    "f((x) => x.add(1))(3)",
    "f((x) => x.add(1))([1, 2, 3])",
    "f((x) => x).lower(spec([null]))",
    'f((x) => x.add(1)).lower(a).text("asm")',
    "f((x) => x.add(1)).lower(a).compile()(ones([9]))",
    "f((x) => x.add(1))(spec([3]))",
    "f((x, y) => x.add(y))(a)",
    'setBackend("cuda")',
    "scope(3)",
  ],
  "functions that cannot be compiled": [
    "compile((x) => (x.any() ? x : x.neg()))(a)",
    "compile((x) => { while (x.any()) x = x.sub(1); return x; }, { name: 'countdown' })(a)",
    "compile(function* (x) { yield x; })",
    "let rate = 1; const g = compile((x) => x.mul(rate), { name: 'g' }, { captures: () => [rate], names: ['rate'] }); g(a); rate = 0.5; g(a)",
  ],
  "control flow": [
    "f((x) => cond(x.sum(), () => x, () => x))(a)",
    "f((x) => cond(x.gt(0), () => x, () => x))(a)",
    "cond(a.gt(0), () => a, () => a)",
    "cond(1, () => a, () => a)",
    "cond(true, a, () => a)",
    "cond(true, async () => a, () => a)",
    "f((x) => cond(x.any(), () => ({ loss: x }), () => ({ cost: x })))(a.gt(1))",
    "f((x) => cond(x.sum().gt(0), () => ({ loss: x }), () => ({ loss: x.sum() })))(a)",
    "f((x) => cond(x.sum().gt(0), () => x, () => x.gt(0)))(a)",
    "f((x) => cond(x.sum().gt(0), () => x.argMax(), () => 0.5))(a)",
    "f((x) => cond(x.sum().gt(0), () => [x, x], () => [x]))(a)",
    "f((x) => cond(x.sum().gt(0), () => x, () => {}))(a)",
    "f((x) => cond(x.sum().gt(0), () => new Map(), () => x))(a)",
    "switchCase(0, [])",
    "switchCase(0.5, [() => a])",
    "switchCase(a.sum(), [() => a])",
    "switchCase(true, [() => a])",
    "switchCase(0, [a])",
    "let kept; f((x) => { cond(x.sum().gt(0), () => (kept = x.mul(2)), () => x); return kept; })(a)",
    "let kept; f((x) => { fori(0, 3, (i, c) => (kept = c.mul(2)), x); return kept.add(1); })(a)",
    "f((x) => cond(x.sum().gt(0), () => x.mul(variable(1)), () => x))(a)",
    "whileLoop((c) => c.lt(3), 3, 0)",
    "whileLoop((c) => c.lt(3), (c) => c.add(1), 0, { maxIterations: 0 })",
    "whileLoop((c) => c.lt(3), (c) => c.add(1), 0, { max: 3 })",
    "f((x) => whileLoop((c) => c, (c) => c.add(1), x.sum()))(a)",
    "f((x) => whileLoop((c) => c.lt(3), (c) => c.add(1), x))(a)",
    "f((x) => whileLoop(() => 1, (c) => c, x))(a)",
    "f((x) => whileLoop(() => true, (c) => c, x))(a)",
    "f((x) => whileLoop((c) => c.n.lt(3), (c) => ({ n: c.n.add(1), y: c.y.sum() }), { n: 0, y: x }))(a)",
    "f((x) => whileLoop((c) => c.lt(3), (c) => c.add(0.5).add(x), 0))(a)",
    'f((x) => whileLoop((c) => c.lt(3), (c) => c.add(0.5), tensor(0, { dtype: "i32" })))(a)',
    "f((x) => whileLoop((c) => c.lt(3), (c) => c.gt(0), 0))(a)",
    "f((x) => whileLoop((c) => c.n.lt(3), (c) => ({ n: c.n.add(1), extra: x }), { n: 0 }))(a)",
    'f((x) => whileLoop((c) => c.s.lt(3), (c) => ({ s: c.s.add(1), mode: "b" }), { s: 0, mode: "a" }))(a)',
    "whileLoop((c) => c.lt(3), (c) => c.add([1, 1]), 0)",
    "f((x) => whileLoop((c) => { w.assignAdd(1); return c.lt(3); }, (c) => c.add(1), x.sum()))(a)",
    "fori(0.5, 3, (i, c) => c, 0)",
    "fori(0, a, (i, c) => c, 0)",
    "fori(0, 'n', (i, c) => c, 0)",
    "fori(0, 3, a, 0)",
    "scan((c, x) => [c, x], 0, [a, ones([3])])",
    "scan((c, x) => [c, x], 0, a, { length: 5 })",
    "scan((c, x) => [c, x], 0, { rows: a, rate: 0.5 })",
    "scan((c) => [c, c], 0, null)",
    "scan((c) => [c, c], 0, null, { length: -1 })",
    "scan((c) => c, 0, null, { length: 2 })",
    "scan((c) => [c.add([1, 2]), c], 0, null, { length: 2 })",
    "scan(3, 0, a)",
    "range(0.5)",
    "range(0, 10, 0)",
    "range(a)",
    "f((x) => { for (const i of range(x.argMax())) x = x.add(i); return x; })(a)",
    "assert(false)",
    'assert(a.gt(5), "a is small")',
    'f((x) => assert(x.gt(5), "x is small"))(a)',
    "assert(a, 'a')",
    "assert(1, 'a')",
    "assert(true, 3)",
  ],
  "derivatives and batches": [
    "vmap(3)",
    "vmap((x) => x, { axes: 0 })",
    "vmap((x) => x)(3)",
    "vmap((x) => x)(a.sum())",
    "vmap((x) => x, { inAxes: 2 })(a)",
    "vmap((x) => x, { inAxes: [0, 0] })(a)",
    "vmap((x) => x, { outAxes: 3 })(a)",
    "vmap((x) => x, { outAxes: [0] })(a)",
    "vmap((x, y) => x.add(y))(a, ones([4]))",
    "vmap((x) => w.assign(x))(ones([3, 2]))",
    "vjp(3, a)",
    "vjp((x) => x, a.gt(0))",
    "vjp((x) => x, a)[1](ones([3]))",
    "vjp((x) => ({ y: x }), a)[1]({ z: a })",
    "jvp((x) => x, a, a)",
    "jvp((x) => x, [a], [])",
    "jvp((x) => x, [a], [ones([3])])",
    "linearize((x) => x, a)[1](ones([3]))",
    "jacrev((x) => [x])(a)",
    "jacfwd((x) => x)(a.gt(0))",
    "hessian(3)",
    "customVjp((x) => x, 3, 3)",
    "checkpoint(3)",
    'checkpoint((x) => x, { policy: "dots" })',
    "grad((x) => checkpoint((y) => { assert(y.gt(0)); return y; })(x))(ones([]))",
    "jvp(checkpoint((x) => x.exp()), [a], [a])",
  ],
  "memory that there is not": [
    "tensor(new Float32Array(1 << 25))",
    "ones([1 << 25]).dataSync()",
    "variable(zeros([1 << 25])).dataSync()",
    "f((x) => outer(x, x))(ones([1 << 13]))",
    "const c = ones([1 << 12]); const keep = []; for (;;) keep.push(f((x) => outer(x, c).neg())(c))",
  ],
  "freed memory": [
    "a.dispose(); a.add(1)",
    "a.dispose(); a.dataSync()",
    "a.dispose(); f((x) => x.add(1))(a)",
    "const g = f((x, { b }) => x.add(b)); const b = ones([2, 3]); g(a, { b }); b.dispose(); g(a, { b })",
    "a.dispose(); f((x) => x.add(a))(ones([2, 3]))",
    "w.dispose(); w.add(1)",
    "const g = f((x) => w.assign(x)); g(ones([2])); w.dispose(); g(ones([2]))",
    "let inner; scope(() => { inner = ones([1]); }); inner.add(1)",
  ],
  variables: [
    "w.value = ones([2])",
    "w.assign([1, 2, 3])",
    'w.assign(tensor([1, 2], { dtype: "i32" }))',
    "w.assignAdd(ones([3]))",
    "w.assign(undefined)",
    "f((x) => w.assign(x))(ones([3]))",
    'variable(1, { dtype: "i32" , name: "n" }).assign(0.5)',
    "w * 2",
    'variable(1, { nam: "w" })',
    'variable(1, { dtype: "float32" })',
    "variable(undefined)",
    "variable(1, { name: 3 })",
  ],
  gradients: [
    "grad((x) => x.mul(2))(a)",
    'grad((x) => x.sum())(tensor([1, 2], { dtype: "i32" }))',
    "grad((x) => x.argMax())(a)",
    "grad(() => 3)(a)",
    "grad((x) => x.sum())()",
    "grad((x) => x.sum(), { argnums: 2 })(a)",
    "grad((x) => x.sum(), { argnum: 2 })(a)",
    'grad((x) => x.a.sum())({ a: "q" })',
    "grad((x) => x.sum(), { hasAux: true })(a)",
    "grad(3)",
    "gradients(() => w.mul(2), [w])",
    "gradients(() => w.sum(), [a])",
    "gradients(() => w.sum(), w)",
  ],
};

/** Runs a program and returns what it throws; anything but an error of Sinter's own fails. */
function failureOf(program: string): sinter.SinterError {
  const a = sinter.ones([2, 3]);
  const w = sinter.variable([1, 2], { name: "w" });
  const f = (fn: (...args: unknown[]) => unknown, options = {}): unknown =>
    sinter.compile(fn, { name: "f", autograph: false, ...options });
  const names = { ...sinter, a, w, f };
  try {
    new Function(...Object.keys(names), `"use strict"; ${program}`)(...Object.values(names));
  } catch (error) {
    if (error instanceof sinter.SinterError) return error;
    throw new Error(`${program} throws ${String(error)}`, { cause: error });
  }
  throw new Error(`${program} does not throw`);
}

/** The message without its line, and without what differs from run to run. */
function shown(error: sinter.SinterError): string {
  return error.message
    .split("\n    at ")[0]!
    .replace(/[\d.]+ (bytes|MiB) in use/, "... in use")
    .replace(/ Most is held by(\n.* made at .*)+/, " Most is held by ...")
    .replace(/ at \S+messages\.test\.ts:\d+:\d+/g, " at LINE")
    .replaceAll("\n", "\n  ");
}

beforeAll(() => {
  configureHeap({ maximumBytes: 64 * 2 ** 20 });
});

const written: string[] = [];
for (const [topic, programs] of Object.entries(mistakes))
  test(topic, () => {
    written.push(`# ${topic}`);
    for (const program of programs) {
      const error = failureOf(program);
      // The program has no file of its own, so that its line is the nearest one here.
      expect(error.where, program).toContain("messages.test.ts");
      expect(sinter.tensor([1]).add(1).item(), `after ${program}`).toBe(2);
      written.push(`${program}\n  ${error.name}: ${shown(error)}`);
    }
  });

test("messages.txt holds the messages", async () => {
  await expect(`${written.join("\n\n")}\n`).toMatchFileSnapshot("messages.txt");
});
