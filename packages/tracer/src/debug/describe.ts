/** How errors speak of an operation: by the function that the user called, the pass, and the rounds of loops. */
import { type Graph, type Loc, locsAt, type NodePath, nodeAt } from "@sinter/ir";
import { loopsAround } from "@sinter/passes";
import { locText } from "../errors.ts";

export interface DescribedNode {
  /** The public function that made it, where that is known, and the operation. */
  readonly name: string;
  readonly op: string;
  readonly backward: boolean;
  /** `mean (div)`, or one name where both are the same. */
  readonly shown: string;
  readonly loc: Loc | undefined;
}

export function describeNode(graph: Graph, path: NodePath): DescribedNode {
  const { op } = nodeAt(graph, path);
  const [loc] = locsAt(graph, path);
  const name = loc?.name ?? op;
  return { name, op, backward: loc?.pass === "backward", shown: name === op ? op : `${name} (${op})`, loc };
}

/** `backward pass, round 3 (from 0) of the loop at file.ts:10:3`, loops from the inside out. */
export function placeText(graph: Graph, path: NodePath, rounds: readonly number[]): string {
  const loops = loopsAround(graph, path).map((loop): Loc | undefined => locsAt(graph, loop)[0]);
  const texts = rounds.map((round, i) => {
    const at = locText(loops[i]);
    return `, round ${round} (from 0) of the loop${at === undefined ? "" : ` at ${at}`}`;
  });
  const { backward } = describeNode(graph, path);
  return `${backward ? "backward" : "forward"} pass${texts.reverse().join("")}`;
}

/** The row-major offset of a position. */
export function offsetOf(shape: readonly number[], index: readonly number[]): number {
  return shape.reduce((offset, size, axis) => offset * size + index[axis]!, 0);
}
