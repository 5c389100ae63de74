// How far the results of a graph can be off where each of its ops is as inaccurate as it may be: the reference evaluation,
// repeated with every such op's results moved by what the op promises. A graph that makes much of a last digit (1 - x
// near 1) is compared by what its own rounding does to it, and every other as before.
import {
  evalGraph,
  type Graph,
  getOp,
  type HostTensor,
  isFloat,
  largestTerm,
  type Node,
  roundTo,
  toleranceOf,
  typeOf,
} from "../../packages/ir/src/index.ts";
import { seededRng } from "./random.ts";

/** For each result, how far each of its elements can be off; infinite where no digit is certain. */
export type Slack = readonly (readonly number[])[];

const draws = 8;

/** All errors up, all down, then signs at random; twice the largest change seen, as no draw has all of the worst signs. */
export function roundingSlack(graph: Graph, args: readonly HostTensor[]): Slack {
  const exact = evalGraph(graph, args);
  const slack = exact.map(({ data }) => Array.from(data, () => 0));
  for (let draw = 0; draw < draws; draw++) {
    const rng = seededRng(draw);
    const sign = (): number => (draw === 0 ? 1 : draw === 1 ? -1 : rng.bool() ? 1 : -1);
    const moved = evalGraph(graph, args, { trace: (node, operands, results) => move(node, operands, results, sign) });
    moved.forEach(({ dtype, data }, r) => {
      if (!isFloat(dtype)) return;
      for (const [i, x] of data.entries()) {
        const y = exact[r]!.data[i]!;
        if (Object.is(x, y)) continue;
        const change = Math.abs(x - y);
        slack[r]![i] = Math.max(slack[r]![i]!, Number.isNaN(change) ? Infinity : 2 * change);
      }
    });
  }
  return slack;
}

/** Moves what an op has just made, in place, as far as the op may be off. */
function move(node: Node, operands: readonly HostTensor[], results: readonly HostTensor[], sign: () => number): void {
  const def = getOp(node.op);
  if (def.ulp === 0 || node.regions.length > 0) return;
  const types = [operands, results].map((list) =>
    list.map(({ dtype, shape }) => ({ kind: "tensor", dtype, shape }) as const),
  );
  const {
    ulp = 0,
    relative = 0,
    absolute = 0,
  } = toleranceOf(def, node.attrs, types[0]!, types[1]!, largestTerm(def, operands));
  results.forEach(({ dtype, data }, r) => {
    if (!isFloat(typeOf(node.results[r]!).dtype)) return;
    const unit = dtype === "f64" ? 2 ** -52 : 2 ** -23;
    for (const [i, x] of data.entries())
      data[i] = roundTo(dtype, x + sign() * Math.max(absolute, (relative + ulp * unit) * Math.abs(x)));
  });
}
