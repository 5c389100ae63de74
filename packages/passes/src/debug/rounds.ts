/** Which loops a node is in: what happens there happens in a round of each. */
import { type Graph, type Node, type NodePath, nodeAt } from "@sinter/ir";
import { controlForm } from "../control/region-op.ts";

/** Whether its regions run in rounds. */
export function isLoop(node: Node): boolean {
  const form = controlForm(node);
  return form === "while" || form === "scan";
}

/** The paths of the loops around a node, from the outside in. */
export function loopsAround(graph: Graph, path: NodePath): readonly NodePath[] {
  const around: NodePath[] = [];
  for (let length = 1; length < path.length; length += 2) around.push(path.slice(0, length));
  return around.filter((each) => isLoop(nodeAt(graph, each)));
}

/** The number of the round that runs behind `done` others, as users count: a scan from the end begins with the last. */
export function roundBehind({ attrs }: Node, done: number): number {
  return attrs["reverse"] === true ? (attrs["length"] as number) - 1 - done : done;
}
