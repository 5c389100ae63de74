/** A piece of the pending graph as one program on the GPU. */
import type { GpuBuffer } from "@sinter/runtime";
import type { Lazy } from "../lazy.ts";
import { graphOf, type Piece } from "../piece.ts";
import { checkTypes } from "./compile.ts";
import { launchOn } from "./launch.ts";
import { theGpu } from "./session.ts";

/** Queues the operations; gives the memory of the outputs, which calls that follow may read. */
export function runPieceOnGpu(inside: ReadonlySet<Lazy>, piece: Piece): readonly GpuBuffer[] {
  const { leaves, outputs, key } = piece;
  const { programs } = theGpu();
  const options = { backend: "webgpu" } as const;
  const graph = () => {
    const made = graphOf(inside, piece);
    checkTypes(made);
    return made;
  };
  const { executable } = key === undefined ? programs.ofGraph(graph(), options) : programs.ofAlias(key, graph, options);
  const where = outputs.find(({ site }) => site !== undefined)?.site;
  launchOn(executable, {
    name: "eager",
    where,
    args: leaves,
    results: outputs,
    host: undefined,
    isSilent: false,
    check: undefined,
  });
  return outputs.map((output) => output.gpu!);
}
