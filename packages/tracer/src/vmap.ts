/** `vmap`: a function of one example becomes a function of many, with one more axis. */
import { Builder, type Dim, type GraphResult, type Value } from "@sinter/ir";
import { BatchingError, placeBatchAxis, vmapInto } from "@sinter/passes";
import { dimText } from "./dims.ts";
import { checkOptions, describe, describeValue, ShapeError, SinterError, site } from "./errors.ts";
import { currentFrame } from "./frame.ts";
import { axisOf, run } from "./kit.ts";
import { emitGraph, graphInputs, leafRefs, traceApart, writtenStates } from "./staged.ts";
import { status } from "./status.ts";
import { Tensor } from "./tensor.ts";
import type { UserFunction } from "./trace.ts";
import { type Leaf, type Tree, treeOf } from "./trees.ts";

/** An axis of each tensor in an argument or result, or null for none; one for all, or one for each. */
export type Axes = number | null | readonly (number | null)[];

export interface VmapOptions {
  /** Which axis of the arguments counts examples; 0 unless said. null: the same argument for all. */
  readonly inAxes?: Axes;
  /** Where the results have that axis; 0 unless said. A list is for a result that is an array. */
  readonly outAxes?: number | readonly number[];
}

/**
 * The function that applies `fn` to each example along an axis of its arguments and stacks the results, as one program
 * on all of them. `fn` sees shapes without that axis. Variables may be read inside, and assigned what is the same for
 * all examples.
 */
export function vmap<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options: VmapOptions = {},
): (...args: A) => R {
  if (typeof fn !== "function") throw new SinterError(`vmap: fn must be a function, not ${describeValue(fn)}`);
  checkOptions("vmap", options, ["inAxes", "outAxes"]);
  const { inAxes = 0, outAxes = 0 } = options;
  const call = (...args: A): R =>
    run("vmap", () => mapped(fn as unknown as UserFunction, args, inAxes, outAxes, call)) as R;
  return call;
}

function mapped(
  fn: UserFunction,
  args: readonly unknown[],
  inAxes: Axes,
  outAxes: number | readonly number[],
  self: (...args: never[]) => unknown,
): unknown {
  const leaves: Leaf[] = [];
  const tree = treeOf(args, leaves, "args");
  const refs = leafRefs("vmap", leaves);
  const { axes, size, inner } = examples(tree as Extract<Tree, { kind: "array" }>, args.length, inAxes);
  const outer = currentFrame();
  const { frame, outs, build } = traceApart(fn, fn.name || "the function", inner);
  const written = writtenStates(frame);
  const code = [...frame.states.values()].find(({ variable }) => variable === status)?.now.value;
  const results = [
    ...outs.map((out): GraphResult => ({ kind: "out", value: out.value })),
    // The status of all examples is brought together below: it may differ between them.
    ...written.results.map((result): GraphResult => (result.value === code ? { kind: "out", value: code } : result)),
  ];
  const isCode = results.map((result, i) => i >= outs.length && result.value === code);
  const graph = frame.finish(results);
  const b = new Builder(graph.name);
  const inAxis = graph.params.map((_, i) => axes[i] ?? null);
  const params = graph.params.map(({ name, value }, i) => {
    const type = value.type as { readonly kind: "tensor"; readonly dtype: "f32"; readonly shape: readonly Dim[] };
    const axis = inAxis[i]!;
    return b.param("arg", axis === null ? type : { ...type, shape: type.shape.toSpliced(axis, 0, size) }, name);
  });
  const places = outAxesOf(outAxes, build, outs.length);
  let made: { readonly results: readonly Value[]; readonly batched: readonly boolean[] };
  try {
    made = vmapInto(b, graph, params, inAxis, size);
  } catch (error) {
    if (error instanceof BatchingError) throw new SinterError(`vmap: ${error.message}`);
    throw error;
  }
  const finished = made.results.map((value, i) => {
    if (i >= outs.length) return isCode[i] && made.batched[i] ? firstFailure(b, value) : value;
    const axis = axisOf("vmap", places[i]!, outs[i]!.shape.length + 1, "outAxes");
    return placeBatchAxis(b, value, made.batched[i]!, size, axis);
  });
  const whole = b.finish(finished.map((value) => ({ kind: "out", value })));
  const emitted = emitGraph(outer, whole, graphInputs(frame, graph, refs), frame, written.codeAt(outs.length));
  written.assign(emitted.slice(outs.length));
  const at = outer.kind === "eager" ? site(self) : undefined;
  return build((index) => new Tensor(emitted[index]!, at));
}

/** The axis of each argument tensor, how many examples there are, and the arguments of one. */
function examples(
  tree: Extract<Tree, { kind: "array" }>,
  count: number,
  inAxes: Axes,
): { readonly axes: readonly (number | null)[]; readonly size: Dim; readonly inner: Tree } {
  if (typeof inAxes === "object" && inAxes !== null && inAxes.length !== count)
    throw new SinterError(`vmap: inAxes has ${inAxes.length} entries for ${count} arguments`);
  const axes: (number | null)[] = [];
  let first: { readonly text: string; readonly size: Dim } | undefined;
  const strip = (at: Tree, wanted: number | null, argument: number): Tree => {
    if (at.kind === "array" || at.kind === "object")
      return { ...at, items: at.items.map((item) => strip(item, wanted, argument)) };
    if (at.kind === "static") return at;
    if (wanted === null) {
      axes[at.index] = null;
      return at;
    }
    const text = at.path.replace(/^args\[(\d+)\]/, "argument $1");
    if (at.shape.length === 0)
      throw new ShapeError(
        `vmap: ${text} is ${describe(at)}, which has no axis of examples; inAxes: null passes it as it is`,
      );
    const axis = axisOf("vmap", wanted, at.shape.length, `inAxes[${argument}]`);
    const size = at.shape[axis]!;
    first ??= { text, size };
    if (first.size !== size)
      throw new ShapeError(
        `vmap: ${first.text} has ${dimText(first.size)} examples, ${text} has ${dimText(size)}: it is ${describe(at)}`,
      );
    axes[at.index] = axis;
    return { ...at, shape: at.shape.toSpliced(axis, 1) };
  };
  const items = tree.items.map((item, i) => {
    const wanted: unknown = typeof inAxes === "object" && inAxes !== null ? inAxes[i] : inAxes;
    if (wanted !== null && typeof wanted !== "number")
      throw new SinterError(`vmap: inAxes[${i}] must be an axis or null, not ${describeValue(wanted)}`);
    return strip(item, wanted, i);
  });
  if (first === undefined)
    throw new SinterError("vmap: no argument has an axis of examples: each is a number, or has inAxes null");
  return { axes, size: first.size, inner: { kind: "array", items } };
}

/** The axis for each tensor of the result. */
function outAxesOf(
  outAxes: number | readonly number[],
  build: (leaf: (index: number) => unknown) => unknown,
  count: number,
): readonly number[] {
  if (typeof outAxes === "number") return new Array<number>(count).fill(outAxes);
  const result = build((index) => index);
  if (!Array.isArray(outAxes) || !Array.isArray(result) || result.length !== outAxes.length)
    throw new SinterError(
      `vmap: outAxes must be an axis${Array.isArray(result) ? `, or an array of ${result.length}, one for each part of the result` : " where the result is no array"}, not ${describeValue(outAxes)}`,
    );
  const places: number[] = [];
  const visit = (part: unknown, axis: number): void => {
    if (typeof part === "number") places[part] = axis;
    else if (typeof part === "object" && part !== null) for (const inner of Object.values(part)) visit(inner, axis);
  };
  result.forEach((part, i) => {
    visit(part, outAxes[i]!);
  });
  return places;
}

/** The smallest status that is not 0: the first check that any example failed. */
function firstFailure(b: Builder, codes: Value): Value {
  const none = b.scalar("i32", 2 ** 31 - 1);
  const zero = b.scalar("i32", 0);
  const counted = b.emit("select", [b.emit("eq", [codes, zero]), none, codes]);
  const least = b.emit("reduce", [counted], { op: "min", axes: [0] });
  return b.emit("select", [b.emit("eq", [least, none]), zero, least]);
}
