/**
 * The programs of a test file on WebGPU as well: what compiled functions and operations run on wasm in a test is compiled
 * for WebGPU, run on the same arguments, and compared with what wasm gave, at the end of the test. What calls of the host
 * answered is answered again.
 *
 * Left out, since they do not exist there: programs with f64. Programs that failed on wasm have nothing to compare.
 */
import { allocate, bytesOf, type Graph, type HostFunction, type HostTensor, type Slot, sizedSlot } from "@sinter/ir";
import { type Compiled, type CompileOptions, type Executable, ProgramCache, theMachine } from "@sinter/runtime";
import { afterAll, afterEach, beforeEach } from "vitest";
import { simplifyGraph } from "../../packages/runtime/src/stages.ts";
import { fullRun } from "./fuzz.ts";
import { gpuMachine } from "./gpu.ts";
import { nearOnGpu } from "./gpu-tolerance.ts";
import { checkOnGpu, type GpuCase, gpuForms } from "./on-gpu.ts";
import { evenly, usesF64 } from "./on-webgpu-too.ts";

export interface ProgramOptions {
  /** How many programs of a test are taken by `npm test`, evenly among all. Default: none. */
  readonly sample?: number;
  /** The same for the full run. Default: all. */
  readonly full?: number;
}

/** A call as it was made on wasm. */
interface Call {
  readonly graph: Graph;
  readonly options: CompileOptions;
  readonly args: readonly HostTensor[];
  readonly results: readonly HostTensor[];
  readonly answers: readonly Answer[];
}

type Answer = ReturnType<HostFunction>;

/** Larger calls are not kept. */
const mostBytes = 4 * 1024 * 1024;

/** From now on, each test of the file ends with its programs on WebGPU. `what`: the tests, for the line that says why not. */
export async function programsOnWebgpu(
  what: string,
  { sample = 0, full = Infinity }: ProgramOptions = {},
): Promise<void> {
  const count = fullRun ? full : sample;
  if (count === 0) return;
  const machine = await gpuMachine(`${what} on WebGPU`);
  if (machine === undefined) return;
  let calls = new Map<Executable, Call>();
  const stop = onCalls(
    (executable) => !calls.has(executable),
    (executable, call) => calls.set(executable, call),
  );
  beforeEach(() => {
    calls = new Map();
  });
  afterEach(async () => {
    const cases = evenly([...calls.values()], count).map(({ graph, options, args, results, answers }): GpuCase => {
      const simplified = simplifyGraph(graph, options);
      const forms = gpuForms.slice(0, 1);
      return { graph: simplified, args, expected: results, tolerance: nearOnGpu, forms, host: () => replayed(answers) };
    });
    await checkOnGpu(machine, cases);
  }, 240_000);
  afterAll(stop);
}

/** Gives again what was given. */
function replayed(answers: readonly Answer[]): HostFunction {
  let next = 0;
  return () => answers[next++] ?? [];
}

/** Tells of calls of programs on wasm that succeed, of those that can run on WebGPU; until it is stopped. */
function onCalls(
  isWanted: (executable: Executable) => boolean,
  tell: (executable: Executable, call: Call) => void,
): () => void {
  const cache = ProgramCache.prototype as ProgramCache<Executable>;
  const { ofGraph, ofAlias } = cache;
  const watched = new WeakSet<Executable>();
  const watch = (graph: Graph, options: CompileOptions, { executable }: Compiled): void => {
    if (options.backend !== "wasm" || watched.has(executable)) return;
    watched.add(executable);
    if (usesF64(graph)) return;
    const execute = executable.execute.bind(executable);
    executable.execute = (pointers, host) => {
      if (!isWanted(executable)) {
        execute(pointers, host);
        return;
      }
      const { slots } = executable;
      const sizes = new Map(slots.flatMap((slot, i) => (slot.kind === "sym" ? [[slot.name!, pointers[i]!]] : [])));
      const sized = slots.map((slot) => sizedSlot(slot, sizes));
      if (sized.reduce((n, slot) => n + slot.bytes, 0) > mostBytes) {
        execute(pointers, host);
        return;
      }
      const at = [...pointers];
      const read = (kind: Slot["kind"], index: number): HostTensor => {
        const i = slots.findIndex((slot) => slot.kind === kind && slot.index === index);
        const { dtype, shape } = sized[i]!;
        return { dtype, shape, data: contents(dtype, shape, at[i]!) };
      };
      const params = inOrder(graph.params.map(({ kind }) => kind));
      const args = params.map(([kind, index]) => (kind === "token" ? nothing : read(kind, index)));
      const answers: Answer[] = [];
      let isComparable = true;
      const answered: HostFunction | undefined =
        host &&
        ((call, values) => {
          const answer = host(call, values);
          answers.push(answer);
          // What a GPU prints is read after the call, too late for what failed there to end it.
          if (call.kind === "print" && typeof answer === "number") isComparable = false;
          return answer;
        });
      execute(pointers, answered);
      const kinds = graph.results.map(({ kind }) => (kind === "state" ? "stateOut" : "result"));
      const results = inOrder(kinds).map(([kind, index]) => read(kind, index));
      if (isComparable) tell(executable, { graph, options, args, results, answers });
    };
  };
  cache.ofGraph = function (graph, options) {
    const compiled = ofGraph.call(this, graph, options);
    watch(graph, options, compiled as Compiled);
    return compiled;
  };
  cache.ofAlias = function (alias, graph, options) {
    let made: Graph | undefined;
    const compiled = ofAlias.call(this, alias, () => (made = graph()), options);
    if (made !== undefined) watch(made, options, compiled as Compiled);
    return compiled;
  };
  return () => {
    Object.assign(cache, { ofGraph, ofAlias });
  };
}

/** In place of a token. */
const nothing: HostTensor = { dtype: "i32", shape: [], data: new Int32Array(1) };

/** Each kind with its position among those of its kind. */
function inOrder<K extends string>(kinds: readonly K[]): (readonly [K, number])[] {
  const next = new Map<K, number>();
  return kinds.map((kind) => {
    const index = next.get(kind) ?? 0;
    next.set(kind, index + 1);
    return [kind, index];
  });
}

function contents(dtype: HostTensor["dtype"], shape: readonly number[], address: number): HostTensor["data"] {
  const size = shape.reduce((n, d) => n * d, 1);
  const data = allocate(dtype, size);
  const { buffer } = theMachine().heap.memory;
  new Uint8Array(data.buffer).set(new Uint8Array(buffer, address, size * bytesOf(dtype)));
  return data;
}
