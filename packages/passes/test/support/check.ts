// Checks that hold for any graph: forward mode against finite differences, reverse mode against forward mode, batching
// against a loop. All on the reference evaluator, in f64.
import {
  Builder,
  evalGraph,
  type Graph,
  type HostTensor,
  isFloat,
  printGraph,
  type Rng,
  typeOf,
  type Value,
  verifyGraph,
} from "@sinter/ir";
import { jvpInto, vjpInto, vmapInto } from "../../src/index.ts";
import { type Instance, inner, moved, randomLike } from "./sampled.ts";

const out = (value: Value) => ({ kind: "out", value }) as const;

/** Positions of the float parameters. */
export function floatParams(graph: Graph): readonly number[] {
  return graph.params.flatMap((param, i) => (isFloat(typeOf(param.value).dtype) ? [i] : []));
}

/** The jvp as a graph: parameters, then the tangents of float parameters; tangents of float results. */
export function jvpGraph(graph: Graph): Graph {
  const b = new Builder("jvp");
  const args = graph.params.map((param) => b.param("arg", param.value.type, param.name));
  const tangents = graph.params.map((param, i) =>
    isFloat(typeOf(param.value).dtype) ? b.param("arg", args[i]!.type, `d_${param.name}`) : null,
  );
  const made = jvpInto(b, graph, args, tangents);
  const results = graph.results.flatMap((result, i) => {
    const { dtype, shape } = typeOf(result.value);
    if (!isFloat(dtype)) return [];
    return [out(made.tangents[i] ?? b.emit("broadcast", [b.scalar(dtype, 0)], { shape, dims: [] }))];
  });
  return b.finish(results);
}

/** The vjp as a graph: parameters, then a cotangent for each float result; gradients of the float parameters. */
export function vjpGraph(graph: Graph): Graph {
  const b = new Builder("vjp");
  const args = graph.params.map((param) => b.param("arg", param.value.type, param.name));
  const { gradients } = vjpInto(
    b,
    graph,
    args,
    (results) =>
      results.map((result, i) => (isFloat(typeOf(result).dtype) ? b.param("arg", result.type, `ct_${i}`) : null)),
    floatParams(graph),
  );
  return b.finish(gradients.map(out));
}

export interface DerivativeOptions {
  /** Graphs in which some value is larger than this, or some tangent, are too steep for finite differences: there only forward and reverse mode are compared. */
  readonly wildBeyond?: number;
}

/**
 * jvp against central differences along a random direction, and <cotangent, jvp> against <vjp, tangent>. Returns the
 * vjp graph with its arguments, for checks of second order.
 */
export function checkDerivatives({ graph, args }: Instance, rng: Rng, options: DerivativeOptions = {}): Instance {
  const tangents = args.map((arg) => (isFloat(arg.dtype) ? randomLike(arg, rng) : null));
  const directions = tangents.filter((t) => t !== null);
  const floats = graph.results.flatMap((result, i) => (isFloat(typeOf(result.value).dtype) ? [i] : []));
  const forward = jvpGraph(graph);
  verifyGraph(forward);
  let largest = 0;
  const jvp = evalGraph(forward, [...args, ...directions], {
    trace: (_, __, results) => {
      for (const { dtype, data } of results)
        if (isFloat(dtype))
          for (const x of data) largest = Number.isNaN(x) ? Number.POSITIVE_INFINITY : Math.max(largest, Math.abs(x));
    },
  });
  if (largest <= (options.wildBeyond ?? Number.POSITIVE_INFINITY)) {
    const evaluate = (factor: number): readonly HostTensor[] => {
      const results = evalGraph(
        graph,
        args.map((arg, i) => moved(arg, tangents[i]!, factor)),
      );
      return floats.map((i) => results[i]!);
    };
    compareDifferences(jvp, evaluate, (message) => fail(message, graph, forward));
  }

  const backward = vjpGraph(graph);
  verifyGraph(backward);
  const cotangents = floats.map((i) => randomLike(typeOf(graph.results[i]!.value), rng));
  const gradients = evalGraph(backward, [...args, ...cotangents]);
  const [left, right] = [inner(cotangents, jvp), inner(gradients, directions)];
  const size =
    inner(cotangents.map(magnitude), jvp.map(magnitude)) + inner(gradients.map(magnitude), directions.map(magnitude));
  if (Number.isFinite(size) && !(Math.abs(left - right) <= 1e-10 * (1 + size)))
    fail(`<cotangent, jvp> is ${left}, <vjp, tangent> is ${right}`, graph, backward);
  return { graph: backward, args: [...args, ...cotangents] };
}

/**
 * Holds derivatives against central differences. Where they disagree a much shorter step decides: a random point is
 * now and then nearer to a jump or a kink than the first step, hardly ever nearer than the second.
 */
function compareDifferences(
  derivatives: readonly HostTensor[],
  evaluate: (factor: number) => readonly HostTensor[],
  disagree: (message: string) => never,
): void {
  const differences = (step: number): readonly (readonly number[])[] => {
    const [up, down] = [evaluate(step), evaluate(-step)];
    return up.map((x, r) => Array.from(x.data, (value, i) => (value - down[r]!.data[i]!) / (2 * step)));
  };
  const values = evaluate(0);
  const long = differences(1e-5);
  let short: readonly (readonly number[])[] | undefined;
  derivatives.forEach(({ data }, r) => {
    let size = 1;
    for (const x of [...data, ...values[r]!.data]) if (Number.isFinite(x)) size = Math.max(size, Math.abs(x));
    data.forEach((x, i) => {
      // The start of an exclusive running maximum, for one, is infinite: no difference says anything of it.
      if (!Number.isFinite(values[r]!.data[i])) return;
      if (Math.abs(x - long[r]![i]!) <= 1e-6 * size) return;
      short ??= differences(1e-7);
      if (!(Math.abs(x - short[r]![i]!) <= 1e-6 * size))
        disagree(
          `jvp of result ${r}, element ${i}, is ${x}; finite differences give ${long[r]![i]} and ${short[r]![i]}`,
        );
    });
  });
}

/** vmap over some parameters against one evaluation for each example. */
export function checkBatching({ graph, args }: Instance, others: readonly (readonly HostTensor[])[], rng: Rng): void {
  const examples = [args, ...others];
  const batched = graph.params.map(() => rng.int(0, 2) > 0);
  if (!batched.includes(true)) batched[rng.int(0, batched.length - 1)] = true;
  const axes = graph.params.map((param, i) => (batched[i] ? rng.int(0, typeOf(param.value).shape.length) : null));
  const b = new Builder("vmap");
  const given = graph.params.map((param, i) => {
    const { dtype, shape } = typeOf(param.value);
    const axis = axes[i]!;
    return b.param(
      "arg",
      { kind: "tensor", dtype, shape: axis === null ? shape : shape.toSpliced(axis, 0, examples.length) },
      param.name,
    );
  });
  const made = vmapInto(b, graph, given, axes, examples.length);
  const mapped = b.finish(made.results.map(out));
  verifyGraph(mapped);
  const together = evalGraph(
    mapped,
    args.map((arg, i) =>
      axes[i] === null
        ? arg
        : stack(
            examples.map((example) => example[i]!),
            axes[i]!,
          ),
    ),
  );
  examples.forEach((example, e) => {
    const alone = evalGraph(
      graph,
      args.map((arg, i) => (batched[i] ? example[i]! : arg)),
    );
    alone.forEach((result, r) => {
      const all = together[r]!;
      const start = made.batched[r] ? e * result.data.length : 0;
      result.data.forEach((x, i) => {
        const y = all.data[start + i]!;
        if (!(Object.is(x, y) || Math.abs(x - y) <= 1e-12 * Math.abs(x) || (x === 0 && y === 0)))
          fail(`result ${r} of example ${e} under vmap has ${y} at ${i}, alone it has ${x}`, graph, mapped);
      });
    });
  });
}

/** Puts examples side by side along a new axis. */
function stack(examples: readonly HostTensor[], axis: number): HostTensor {
  const [first] = examples;
  const { dtype, shape } = first!;
  const after = shape.slice(axis).reduce((n, size) => n * size, 1);
  const data = first!.data.slice(0, 0).constructor as new (length: number) => HostTensor["data"];
  const all = new data(first!.data.length * examples.length);
  const before = shape.slice(0, axis).reduce((n, size) => n * size, 1);
  for (let i = 0; i < before; i++)
    examples.forEach((example, e) => {
      for (let k = 0; k < after; k++) all[(i * examples.length + e) * after + k] = example.data[i * after + k]!;
    });
  return { dtype, shape: shape.toSpliced(axis, 0, examples.length), data: all };
}

function magnitude(x: HostTensor): HostTensor {
  const data = x.data.slice();
  for (let i = 0; i < data.length; i++) data[i] = Math.abs(data[i]!);
  return { ...x, data };
}

function fail(message: string, before: Graph, after: Graph): never {
  throw new Error(`${message}\n${printGraph(before)}became\n${printGraph(after)}`);
}
