/** Contractions. All of them become `dot`, with transposes that cost nothing. */
import type { Dim } from "@sinter/ir";
import { dimText } from "../dims.ts";
import { describeValue, ShapeError } from "../errors.ts";
import {
  axisOf,
  broadcastShapes,
  cast,
  describe,
  emit,
  filled,
  iota,
  like,
  make,
  promoteArgs,
  reshape,
  select,
  stretch,
  mul as times,
  toArg,
  toRef,
  transpose,
} from "../kit.ts";
import { type Ref, sizeOf } from "../lazy.ts";
import type { Tensor, TensorLike } from "../tensor.ts";

function operands(caller: string, a: TensorLike, b: TensorLike): [Ref, Ref] {
  const refs = promoteArgs([toArg(caller, "a", a), toArg(caller, "b", b)]);
  return refs.map((r) => (r.dtype === "bool" ? cast(r, "i32") : r)) as [Ref, Ref];
}

function contract(
  x: Ref,
  y: Ref,
  batch: readonly [readonly number[], readonly number[]],
  axes: readonly [readonly number[], readonly number[]],
): Ref {
  return emit("dot", [x, y], { batch, contract: axes });
}

const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => i + from);

/**
 * Matrix product over the last two axes; leading axes broadcast. Vectors count as a row on the left and a column on the
 * right, and that axis is dropped. Throws where the inner sizes differ.
 */
export function matmul(a: TensorLike, b: TensorLike): Tensor {
  return make("matmul", matmul, () => {
    const [x, y] = operands("matmul", a, b);
    if (x.shape.length === 0 || y.shape.length === 0)
      throw new ShapeError(`matmul: a is ${describe(x)}, b is ${describe(y)}: neither may be a scalar; use mul`);
    const inner = x.shape.at(-1)!;
    const outer = y.shape.length === 1 ? y.shape[0]! : y.shape.at(-2)!;
    if (inner !== outer) {
      const hint = y.shape.length === 2 && y.shape[1] === inner ? "; did you mean b.transpose()?" : "";
      throw new ShapeError(
        `matmul: a is ${describe(x)}, b is ${describe(y)}: inner sizes ${dimText(inner)} and ${dimText(outer)} differ${hint}`,
      );
    }
    const last = x.shape.length - 1;
    // Without batch axes on the right, all but the last axis of the left are rows of one product.
    if (y.shape.length <= 2) return contract(x, y, [[], []], [[last], [0]]);
    if (x.shape.length === 1) {
      const rank = y.shape.length;
      return contract(x, y, [[], []], [[0], [rank - 2]]);
    }
    const batch = broadcastShapes(x.shape.slice(0, -2), y.shape.slice(0, -2));
    if (batch === undefined)
      throw new ShapeError(`matmul: a is ${describe(x)}, b is ${describe(y)}: leading axes do not broadcast`);
    const n = batch.length;
    const left = stretch(x, [...batch, ...x.shape.slice(-2)]);
    const right = stretch(y, [...batch, ...y.shape.slice(-2)]);
    return contract(left, right, [range(n), range(n)], [[n + 1], [n]]);
  });
}

/** NumPy's dot: the last axis of a with the last but one of b (the only one of a vector); scalars multiply. */
export function dot(a: TensorLike, b: TensorLike): Tensor {
  return make("dot", dot, () => {
    const [x, y] = operands("dot", a, b);
    if (x.shape.length === 0 || y.shape.length === 0) return times(x, y);
    const at = Math.max(0, y.shape.length - 2);
    if (x.shape.at(-1) !== y.shape[at])
      throw new ShapeError(
        `dot: a is ${describe(x)}, b is ${describe(y)}: sizes ${dimText(x.shape.at(-1)!)} and ${dimText(y.shape[at]!)} differ`,
      );
    return contract(x, y, [[], []], [[x.shape.length - 1], [at]]);
  });
}

/** Products of all pairs of elements of two vectors (others are flattened). */
export function outer(a: TensorLike, b: TensorLike): Tensor {
  return make("outer", outer, () => {
    const [x, y] = operands("outer", a, b);
    const shape = [sizeOf(x.shape), sizeOf(y.shape)];
    const rows = emit("broadcast", [reshape(x, [shape[0]!])], { shape, dims: [0] });
    const columns = emit("broadcast", [reshape(y, [shape[1]!])], { shape, dims: [1] });
    return times(rows, columns);
  });
}

/** Contracts axes: the last `axes` of a with the first of b, or the axes listed as [of a, of b]. */
export function tensordot(
  a: TensorLike,
  b: TensorLike,
  axes: number | readonly [readonly number[], readonly number[]] = 2,
): Tensor {
  return make("tensordot", tensordot, () => {
    const [x, y] = operands("tensordot", a, b);
    const pairs: readonly [readonly number[], readonly number[]] =
      typeof axes === "number" ? [range(axes, x.shape.length - axes), range(axes)] : axes;
    const left = pairs[0].map((i) => axisOf("tensordot", i, x.shape.length, "axes[0]"));
    const right = pairs[1].map((i) => axisOf("tensordot", i, y.shape.length, "axes[1]"));
    if (left.length !== right.length || left.some((l, i) => x.shape[l] !== y.shape[right[i]!]))
      throw new ShapeError(
        `tensordot: axes [${left}] of a, ${describe(x)}, do not match axes [${right}] of b, ${describe(y)}`,
      );
    return contract(x, y, [[], []], [left, right]);
  });
}

interface Term {
  readonly ref: Ref;
  readonly labels: readonly string[];
}

/**
 * Einstein summation: `einsum("bij,bjk->bik", a, b)`. Labels that the output lacks are summed, a label repeated within
 * one operand takes its diagonal, and `...` stands for leading axes that broadcast. Without `->` the output has the
 * labels that occur once, in alphabetical order.
 */
export function einsum(spec: string, ...tensors: readonly TensorLike[]): Tensor {
  return make("einsum", einsum, () => {
    const refs = promoteArgs(tensors.map((t, i) => toRef("einsum", `operand ${i}`, t))).map((r) =>
      r.dtype === "bool" ? cast(r, "i32") : r,
    );
    const { inputs, output } = parseSpec(spec, refs);
    const sizes = new Map<string, Dim>();
    refs.forEach((ref, i) => {
      inputs[i]!.forEach((label, axis) => {
        const size = ref.shape[axis]!;
        const known = sizes.get(label) ?? 1;
        if (known !== 1 && size !== 1 && known !== size)
          throw new ShapeError(
            `einsum "${spec}": label ${label} is ${dimText(known)} in one operand and ${dimText(size)} in operand ${i}, ${describe(ref)}`,
          );
        sizes.set(label, known === 1 ? size : known);
      });
    });
    let terms = refs.map((ref, i): Term => {
      const labels = inputs[i]!;
      // Axes of size 1 stretch, as everywhere.
      return diagonal({
        ref: stretch(
          ref,
          labels.map((l) => sizes.get(l)!),
        ),
        labels,
      });
    });
    terms = terms.map((term, i) =>
      sumAway(term, new Set([...output, ...terms.filter((_, k) => k !== i).flatMap((t) => t.labels)])),
    );
    while (terms.length > 1) {
      const [first, second, ...rest] = terms as [Term, Term, ...Term[]];
      const needed = new Set([...output, ...rest.flatMap((t) => t.labels)]);
      terms = [pair(first, second, needed), ...rest];
    }
    const last = sumAway(terms[0]!, new Set(output));
    return transpose(
      last.ref,
      output.map((l) => last.labels.indexOf(l)),
    );
  });
}

function parseSpec(spec: string, refs: readonly Ref[]): { inputs: string[][]; output: string[] } {
  const fail = (why: string): never => {
    throw new ShapeError(`einsum "${spec}": ${why}`);
  };
  if (typeof spec !== "string")
    throw new ShapeError(`einsum: spec must be a text such as "ij,jk->ik", not ${describeValue(spec)}`);
  const [left = "", right, more] = spec.replace(/\s+/g, "").split("->");
  if (more !== undefined) fail("there is more than one ->");
  const parts = left.split(",");
  if (parts.length !== refs.length) fail(`${parts.length} operands in the text, ${refs.length} given`);
  let dots = 0;
  const split = (part: string): string[] => {
    if (!/^[A-Za-z]*(\.\.\.)?[A-Za-z]*$/.test(part)) fail(`"${part}" must be letters and at most one ...`);
    return part.split(/(\.\.\.)|/).filter((l): l is string => l !== undefined && l !== "");
  };
  const inputs = parts.map((part, i) => {
    const labels = split(part);
    const rank = refs[i]!.shape.length;
    const extra = rank - labels.filter((l) => l !== "...").length;
    if (extra < 0 || (extra > 0 && !labels.includes("...")))
      fail(`operand ${i} is ${describe(refs[i]!)}, its labels "${part}" name ${labels.length} axes`);
    dots = Math.max(dots, labels.includes("...") ? extra : 0);
    return { labels, extra };
  });
  const expand = (labels: readonly string[], extra: number): string[] =>
    labels.flatMap((l) => (l === "..." ? range(extra).map((k) => `.${extra - k}`) : [l]));
  const full = inputs.map(({ labels, extra }) => expand(labels, extra));
  const counts = new Map<string, number>();
  for (const labels of full) for (const l of labels) counts.set(l, (counts.get(l) ?? 0) + 1);
  const output =
    right === undefined
      ? [
          ...expand(["..."], dots),
          ...[...counts.keys()].filter((l) => !l.startsWith(".") && counts.get(l) === 1).sort(),
        ]
      : expand(split(right), dots);
  for (const l of output) if (!counts.has(l)) fail(`the output label ${l} is in no operand`);
  if (new Set(output).size !== output.length) fail("an output label is repeated");
  return { inputs: full, output };
}

/** Takes the diagonal over each label that occurs twice. */
function diagonal(term: Term): Term {
  const { labels } = term;
  const second = labels.findIndex((l, i) => labels.indexOf(l) < i);
  if (second < 0) return term;
  const first = labels.indexOf(labels[second]!);
  const { shape } = term.ref;
  const on = emit("eq", [iota("i32", shape, first), iota("i32", shape, second)]);
  const kept = select(on, term.ref, filled(like(term.ref, 0), shape));
  const ref = emit("reduce", [kept], { op: "add", axes: [second] });
  return diagonal({ ref, labels: labels.filter((_, i) => i !== second) });
}

function sumAway(term: Term, needed: ReadonlySet<string>): Term {
  const axes = term.labels.flatMap((l, i) => (needed.has(l) ? [] : [i]));
  if (axes.length === 0) return term;
  return { ref: emit("reduce", [term.ref], { op: "add", axes }), labels: term.labels.filter((l) => needed.has(l)) };
}

function pair(a: Term, b: Term, needed: ReadonlySet<string>): Term {
  const shared = a.labels.filter((l) => b.labels.includes(l));
  const batch = shared.filter((l) => needed.has(l));
  const summed = shared.filter((l) => !needed.has(l));
  const at = (labels: readonly string[], of: Term): number[] => labels.map((l) => of.labels.indexOf(l));
  const ref = contract(a.ref, b.ref, [at(batch, a), at(batch, b)], [at(summed, a), at(summed, b)]);
  const free = (of: Term): string[] => of.labels.filter((l) => !shared.includes(l));
  return { ref, labels: [...batch, ...free(a), ...free(b)] };
}
