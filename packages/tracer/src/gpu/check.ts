/** What `debug` and `verify` do with calls on the GPU: once one has run, what it read and wrote is looked into on the host. */
import { type Graph, type HostFunction, type HostTensor, sizedSlot } from "@sinter/ir";
import { type CompileOptions, type Slot, slotsOf } from "@sinter/runtime";
import { type Asked, answeredLater, type Values } from "../debug/asking.ts";
import type { CallCheck } from "../debug/call-check.ts";
import { HostLog } from "../debug/host-log.ts";
import type { Lazy } from "../lazy.ts";
import type { Launch } from "./calls.ts";
import { programOnGpu } from "./compile.ts";
import { theGpu } from "./session.ts";

/** What a call reads and writes, by slot. */
export type SlotValue = (kind: Slot["kind"], index: number) => Lazy;

/**
 * Lets `check` look into a call of `graph`, the one that was traced. `added`: the result that the check added, where it
 * added one.
 */
export function lookingInto(
  check: CallCheck,
  graph: Graph,
  slotValue: SlotValue,
  added: Lazy | undefined,
  host: HostFunction | undefined,
): Pick<Launch, "host" | "look"> {
  const log = new HostLog();
  return {
    host: host === undefined ? undefined : log.recording(host),
    async look(failed) {
      const code = added === undefined ? 0 : (await contents(added)).data[0]!;
      if (!check.asks({ code, failed })) return undefined;
      const [given, made] = [await valuesOf(graph, "inputs", slotValue), await valuesOf(graph, "outputs", slotValue)];
      const wrong = check.wrong({ code, failed, log, inputs: () => given, outputs: () => made });
      return answeredLater(wrong, (asked) => resultsOnGpu(asked, check.options));
    },
  };
}

async function contents(lazy: Lazy): Promise<HostTensor> {
  const { dtype, shape } = lazy;
  const length = shape.reduce((n, size) => n * size, 1);
  return { dtype, shape, data: await theGpu().machine.download(lazy.gpu!.block, dtype, length) };
}

/** The values that a call was given or gave, in the order of the graph's parameters or results. */
async function valuesOf(graph: Graph, which: "inputs" | "outputs", slotValue: SlotValue): Promise<Values> {
  const { slots, values } = slotsOf(graph);
  const found: HostTensor[] = [];
  const reads = slots.map(async ({ kind, index }, i) => {
    const isMade = kind === "result" || kind === "stateOut";
    if (kind !== "sym" && isMade === (which === "outputs")) found[values[i]!] = await contents(slotValue(kind, index));
  });
  await Promise.all(reads);
  return found;
}

/** Runs a program on values of the host. */
async function resultsOnGpu({ graph, args, host }: Asked, options: CompileOptions): Promise<Values> {
  const { machine } = theGpu();
  const { executable } = programOnGpu(graph, options);
  const given = new Map<Slot["kind"], HostTensor[]>();
  graph.params.forEach(({ kind }, i) => {
    if (kind !== "token") given.set(kind, [...(given.get(kind) ?? []), args[i]!]);
  });
  const slots = executable.slots.map((slot) => sizedSlot(slot));
  const blocks = slots.map(({ kind, index, bytes }) => {
    if (kind === "result") return machine.allocate(bytes);
    const value = given.get(kind)?.[index];
    return value === undefined ? undefined : machine.upload(value.dtype, value.data);
  });
  try {
    const submitted = executable.enqueue(
      blocks.map((block) => block?.buffer),
      slots.map(() => 0),
      host,
    );
    const results: HostTensor[] = [];
    const reads = slots.map(async ({ kind, index, dtype, shape }, i) => {
      if (kind !== "result") return;
      const length = shape.reduce((n, size) => n * size, 1);
      results[index] = { dtype, shape, data: await machine.download(blocks[i]!, dtype, length) };
    });
    await Promise.all([submitted, ...reads]);
    return results;
  } finally {
    for (const block of blocks) if (block !== undefined) machine.release(block);
  }
}
