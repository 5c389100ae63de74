/** How errors speak of an operation: by the function that the user called, the pass, and the rounds of loops. */
import { type Graph, getOp, type Loc, locsAt, type NodePath, nodeAt } from "@sinter/ir";
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
  const loops: (Loc | undefined)[] = [];
  for (let length = 1; length < path.length; length += 2) {
    const around = path.slice(0, length);
    if (isLoop(graph, around)) loops.push(locsAt(graph, around)[0]);
  }
  const texts = rounds.map((round, i) => {
    const at = locText(loops[i]);
    return `, round ${round} (from 0) of the loop${at === undefined ? "" : ` at ${at}`}`;
  });
  const { backward } = describeNode(graph, path);
  return `${backward ? "backward" : "forward"} pass${texts.reverse().join("")}`;
}

function isLoop(graph: Graph, path: NodePath): boolean {
  const { nest } = getOp(nodeAt(graph, path).op);
  return nest.kind === "control" && (nest.form === "while" || nest.form === "scan");
}

/** The row-major offset of a position. */
export function offsetOf(shape: readonly number[], index: readonly number[]): number {
  return shape.reduce((offset, size, axis) => offset * size + index[axis]!, 0);
}
