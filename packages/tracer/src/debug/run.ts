/** Programs on the inputs of a call that has been made already, or on host tensors: what errors are found out with. */
import { bytesOf, type Graph, type HostTensor } from "@sinter/ir";
import { Buffer, type CompileOptions, compileGraph, theMachine } from "@sinter/runtime";

/** Where the inputs of a program are. */
export type InputAddress = (kind: "arg" | "const" | "state", index: number) => number;

/** The `out` results of a graph, which has none of other kinds; copies. */
export function resultsOf(graph: Graph, options: CompileOptions, address: InputAddress): readonly HostTensor[] {
  const { heap } = theMachine();
  const { executable } = compileGraph(graph, options);
  const consts = graph.params.filter((param) => param.kind === "const").length;
  const held: Buffer[] = [];
  try {
    const pointers = executable.slots.map(({ kind, index, bytes }) => {
      if (kind === "arena" || (kind === "const" && index >= consts)) return 0;
      if (kind === "arg" || kind === "const" || kind === "state") return address(kind, index);
      const buffer = new Buffer(heap, bytes);
      held.push(buffer);
      return buffer.address;
    });
    executable.execute(pointers);
    const results: HostTensor[] = [];
    executable.slots.forEach(({ kind, index, dtype, shape, bytes }, i) => {
      if (kind === "result")
        results[index] = { dtype, shape, data: heap.copy(dtype, pointers[i]!, bytes / bytesOf(dtype)) };
    });
    return results;
  } finally {
    for (const buffer of held) buffer.release();
  }
}
