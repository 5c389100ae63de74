/** Programs on the inputs of a call that has been made already, or on host tensors: what errors are found out with. */
import { bytesOf, type Graph, type HostFunction, type HostTensor, sizedSlot } from "@sinter/ir";
import { Buffer, type CompileOptions, compileGraph, type Slot, slotsOf, theMachine } from "@sinter/runtime";

/** Where the inputs and outputs of a program are. */
export type SlotAddress = (kind: Slot["kind"], index: number) => number;

/** The `out` results of a graph, which has none of other kinds; copies. `host` answers its calls. */
export function resultsOf(
  graph: Graph,
  options: CompileOptions,
  address: SlotAddress,
  host?: HostFunction,
): readonly HostTensor[] {
  const { heap } = theMachine();
  const { executable } = compileGraph(graph, options);
  const consts = graph.params.filter((param) => param.kind === "const").length;
  const held: Buffer[] = [];
  try {
    const pointers = executable.slots.map((slot) => {
      const { kind, index, bytes } = sizedSlot(slot);
      if (kind === "arena" || (kind === "const" && index >= consts)) return 0;
      if (kind === "arg" || kind === "const" || kind === "state") return address(kind, index);
      const buffer = new Buffer(heap, bytes);
      held.push(buffer);
      return buffer.address;
    });
    executable.execute(pointers, host);
    const results: HostTensor[] = [];
    executable.slots.forEach((slot, i) => {
      const { kind, index, dtype, shape, bytes } = sizedSlot(slot);
      if (kind === "result")
        results[index] = { dtype, shape, data: heap.copy(dtype, pointers[i]!, bytes / bytesOf(dtype)) };
    });
    return results;
  } finally {
    for (const buffer of held) buffer.release();
  }
}

/** As `resultsOf`, on values given by parameter. */
export function resultsOn(
  graph: Graph,
  options: CompileOptions,
  args: readonly HostTensor[],
  host?: HostFunction,
): readonly HostTensor[] {
  const { heap } = theMachine();
  const held: Buffer[] = [];
  try {
    const given = new Map<Slot["kind"], number[]>();
    graph.params.forEach(({ kind }, i) => {
      if (kind === "token") return;
      const { dtype, data } = args[i]!;
      const buffer = new Buffer(heap, data.byteLength);
      held.push(buffer);
      heap.view(dtype, buffer.address, data.length).set(data);
      given.set(kind, [...(given.get(kind) ?? []), buffer.address]);
    });
    return resultsOf(graph, options, (kind, index) => given.get(kind)![index]!, host);
  } finally {
    for (const buffer of held) buffer.release();
  }
}

/** The values that a program was given or gave, in the order of the graph's parameters or results; copies. */
export function valuesOf(graph: Graph, which: "inputs" | "outputs", address: SlotAddress): readonly HostTensor[] {
  const { heap } = theMachine();
  const { slots, values } = slotsOf(graph);
  const found: HostTensor[] = [];
  slots.forEach((slot, i) => {
    const { kind, index, dtype, shape, bytes } = sizedSlot(slot);
    if ((kind === "result" || kind === "stateOut") !== (which === "outputs")) return;
    found[values[i]!] = { dtype, shape, data: heap.copy(dtype, address(kind, index), bytes / bytesOf(dtype)) };
  });
  return found;
}
