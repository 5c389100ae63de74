/** Backend "reference": the graph evaluator over the heap, with the same calling convention as a wasm program. */
import {
  bytesOf,
  dimValue,
  evalGraph,
  type Graph,
  type HostTensor,
  type Slot,
  scaleIndex,
  sizeOf,
  sizesIn,
  toDim,
  typeOf,
  type Value,
} from "@sinter/ir";
import type { Executable, Machine } from "./exec/program.ts";

const order = ["const", "arg", "state", "stateOut", "result"] as const;

/** The pointer slots of a graph in the order of the call table, without the arena. */
export function slotsOf(graph: Graph): { readonly slots: readonly Slot[]; readonly values: readonly number[] } {
  const found: { slot: Slot; value: number }[] = [];
  const counts = new Map<Slot["kind"], number>();
  const add = (kind: Slot["kind"], value: Value, position: number): void => {
    const { dtype, shape } = typeOf(value);
    const index = counts.get(kind) ?? 0;
    counts.set(kind, index + 1);
    const bytes = toDim(scaleIndex(sizeOf(shape), bytesOf(dtype)));
    found.push({ slot: { kind, index, dtype, shape, bytes }, value: position });
  };
  graph.params.forEach((param, i) => {
    if (param.kind !== "token") add(param.kind, param.value, i);
  });
  graph.results.forEach((result, i) => {
    if (result.kind !== "token") add(result.kind === "state" ? "stateOut" : "result", result.value, i);
  });
  found.sort((a, b) => order.indexOf(a.slot.kind as "arg") - order.indexOf(b.slot.kind as "arg"));
  const syms = graph.syms.map(
    ({ name }, index): Slot => ({ kind: "sym", index, name, dtype: "u32", shape: [], bytes: 0 }),
  );
  return { slots: [...found.map((f) => f.slot), ...syms], values: found.map((f) => f.value) };
}

/** Runs a graph node by node. For tests, debugging, and comparison with every other backend. */
export function referenceProgram(machine: Machine, graph: Graph): Executable {
  const { slots, values } = slotsOf(graph);
  return {
    slots,
    arenaSlot: -1,
    embedded: [],
    bytes: 0,
    execute(pointers, host) {
      const { heap } = machine;
      const args: HostTensor[] = [];
      const sizes = sizesIn(slots, pointers);
      const length = (slot: Slot): number => dimValue(slot.bytes, sizes) / bytesOf(slot.dtype);
      slots.forEach((slot, i) => {
        if (slot.kind === "result" || slot.kind === "stateOut" || slot.kind === "sym") return;
        const { dtype } = slot;
        const shape = slot.shape.map((dim) => dimValue(dim, sizes));
        args[values[i]!] = { dtype, shape, data: heap.copy(dtype, pointers[i]!, length(slot)) };
      });
      const results = evalGraph(graph, args, { host });
      slots.forEach((slot, i) => {
        if (slot.kind !== "result" && slot.kind !== "stateOut") return;
        heap.view(slot.dtype, pointers[i]!, length(slot)).set(results[values[i]!]!.data);
      });
    },
    dispose() {},
  };
}
