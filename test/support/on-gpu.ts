/**
 * Graphs compiled for WebGPU the way the runtime compiles them, each stage checked by its verifier, and run on tensors of
 * the host. Many at a time: their pipelines are made side by side.
 */
import { emit, schedule } from "@sinter/codegen-wgsl";
import {
  allocate,
  bindSizes,
  evalGraph,
  expressionScope,
  type Graph,
  type HostFunction,
  type HostTensor,
  type LoopProgram,
  type Plan,
  printNests,
  sizedSlot,
  verifyLoopKernel,
  verifyNests,
  type WebgpuFeatures,
  type WebgpuProgram,
} from "@sinter/ir";
import { lower, planMemory, verifyPlan } from "@sinter/passes";
import { buffersOf, type GpuExecutable, type GpuMachine, instantiateOnGpu } from "@sinter/runtime/webgpu";
import { type Form, formName } from "./compiled.ts";
import { roundingSlack } from "./conditioning.ts";
import { resultsDifference, type Tolerance } from "./random.ts";
import { caseText, type GraphCase } from "./random-graph.ts";
import { shrinkCaseLater } from "./shrink-case.ts";

export interface CompiledForGpu {
  readonly graph: Graph;
  readonly form: Form;
  readonly loops: LoopProgram;
  readonly plan: Plan;
  readonly program: WebgpuProgram;
}

/** What the runtime compiles to, and the simplest schedules. */
export const gpuForms: readonly Form[] = [
  { fuse: true, generic: false },
  { fuse: true, generic: true },
];

/** All stages up to the program. */
export function compileForGpu(graph: Graph, features: WebgpuFeatures, form: Form = gpuForms[0]!): CompiledForGpu {
  return expressionScope(() => {
    const nests = lower(graph, { fuse: form.fuse, buffers: buffersOf(features) });
    verifyNests(nests);
    try {
      const loops = schedule(nests, features, form);
      for (const kernel of loops.kernels) verifyLoopKernel(kernel);
      const plan = planMemory(loops, { alignment: 256, bytesPerElement: () => 4 });
      verifyPlan(loops, plan);
      return { graph, form, loops, plan, program: emit(loops, plan, features) };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${message}\n(${formName(form)})\n${printNests(nests)}`, { cause: error });
    }
  });
}

/** A program whose pipelines are being made. */
export interface Instance {
  readonly compiled: CompiledForGpu;
  readonly executable: GpuExecutable;
}

export function instanceOnGpu(machine: GpuMachine, compiled: CompiledForGpu): Instance {
  const executable = instantiateOnGpu(machine, compiled.program);
  // Awaited where it is run; until then nobody listens.
  executable.ready.catch(() => {});
  return { compiled, executable };
}

/** One call. Results in the order of the graph's. */
export async function callOnGpu(
  machine: GpuMachine,
  { compiled, executable }: Instance,
  args: readonly HostTensor[],
  host?: HostFunction,
): Promise<HostTensor[]> {
  await executable.ready;
  const { graph, program } = compiled;
  const sizes = bindSizes(graph, args);
  const slots = program.slots.map((slot) => sizedSlot(slot, sizes));
  const params = { arg: [] as number[], const: [] as number[], state: [] as number[] };
  graph.params.forEach((param, i) => {
    if (param.kind !== "token") params[param.kind].push(i);
  });
  const blocks = slots.map((slot, i) => {
    if (slot.kind === "arena" || slot.kind === "sym" || program.constants.some((c) => c.slot === i)) return undefined;
    if (slot.kind === "result" || slot.kind === "stateOut") return machine.allocate(slot.bytes);
    return machine.upload(slot.dtype, args[params[slot.kind][slot.index]!]!.data);
  });
  const table = slots.map((slot) => (slot.kind === "sym" ? sizes.get(slot.name!)! : 0));
  const done = executable.enqueue(
    blocks.map((block) => block?.buffer),
    table,
    host,
  );
  await done;
  const outputs = new Map<string, Promise<HostTensor>>();
  slots.forEach((slot, i) => {
    if (slot.kind !== "result" && slot.kind !== "stateOut") return;
    outputs.set(`${slot.kind} ${slot.index}`, download(machine, slot, blocks[i]!));
  });
  const next = { result: 0, stateOut: 0 };
  const results = await Promise.all(
    graph.results.map(({ kind }) => {
      const as = kind === "state" ? "stateOut" : "result";
      return outputs.get(`${as} ${next[as]++}`)!;
    }),
  );
  for (const block of blocks) if (block !== undefined) machine.release(block);
  return results;
}

async function download(
  machine: GpuMachine,
  { dtype, shape }: { readonly dtype: HostTensor["dtype"]; readonly shape: readonly number[] },
  block: Parameters<GpuMachine["download"]>[0],
): Promise<HostTensor> {
  const size = shape.reduce((n, d) => n * d, 1);
  return { dtype, shape, data: size === 0 ? allocate(dtype, 0) : await machine.download(block, dtype, size) };
}

/** Compiles and runs once. */
export async function runOnGpu(
  machine: GpuMachine,
  graph: Graph,
  args: readonly HostTensor[],
  options: { readonly form?: Form; readonly host?: HostFunction } = {},
): Promise<HostTensor[]> {
  const instance = instanceOnGpu(machine, compileForGpu(graph, machine.features, options.form));
  try {
    return await callOnGpu(machine, instance, args, options.host);
  } finally {
    instance.executable.dispose();
  }
}

/** A graph to be compared with its reference evaluation. */
export interface GpuCase extends GraphCase {
  readonly tolerance?: Tolerance;
  /** As of `checkForms`. */
  readonly byRounding?: boolean;
  /** What stands before the difference in an error. */
  readonly text?: string;
  readonly expected?: readonly HostTensor[];
  readonly forms?: readonly Form[];
  /** Answers the calls of one run. */
  readonly host?: () => HostFunction;
}

/** Cases whose pipelines are made at once: enough to keep the driver's threads busy, few enough for memory. */
const batch = 32;

/** What is wrong with each case that is not as its reference evaluation. */
export async function differencesOnGpu(
  machine: GpuMachine,
  cases: Iterable<GpuCase>,
): Promise<{ readonly case: GpuCase; readonly message: string }[]> {
  const wrong: { readonly case: GpuCase; readonly message: string }[] = [];
  const checkBatch = async (some: readonly GpuCase[]): Promise<void> => {
    const runs = some.flatMap((one) => (one.forms ?? gpuForms).map((form) => ({ one, form })));
    const started = runs.map(({ one, form }) => {
      try {
        return instanceOnGpu(machine, compileForGpu(one.graph, machine.features, form));
      } catch (error) {
        return error instanceof Error ? error : new Error(String(error));
      }
    });
    const expected = new Map(some.map((one) => [one, one.expected ?? evalGraph(one.graph, one.args)]));
    const found = await Promise.all(
      runs.map(async ({ one, form }, i) => {
        const instance = started[i]!;
        const problem = await differenceOf(instance, expected.get(one)!, one, machine);
        return problem === undefined
          ? []
          : [{ case: one, message: `${one.text ?? one.graph.name}: ${formName(form)}: ${problem}` }];
      }),
    );
    wrong.push(...found.flat());
  };
  let some: GpuCase[] = [];
  for (const one of cases) {
    some.push(one);
    if (some.length < batch) continue;
    await checkBatch(some);
    some = [];
  }
  await checkBatch(some);
  return wrong;
}

async function differenceOf(
  instance: Instance | Error,
  expected: readonly HostTensor[],
  { graph, args, tolerance, byRounding, host }: GpuCase,
  machine: GpuMachine,
): Promise<string | undefined> {
  if (instance instanceof Error) return instance.message;
  try {
    const actual = await callOnGpu(machine, instance, args, host?.());
    const difference = resultsDifference(actual, expected, tolerance);
    if (difference === undefined || byRounding !== true) return difference;
    return resultsDifference(actual, expected, tolerance, roundingSlack(graph, args));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    instance.executable.dispose();
  }
}

/** Throws an error that says what differs, case by case. */
export async function checkOnGpu(machine: GpuMachine, cases: Iterable<GpuCase>): Promise<void> {
  const wrong = await differencesOnGpu(machine, cases);
  if (wrong.length === 0) return;
  const few = wrong
    .slice(0, 8)
    .map(({ case: one, message }) => `${message.slice(0, 4000)}\n${caseText(one).slice(0, 4000)}`);
  throw new Error(`${wrong.length} differ from the reference\n${few.join("\n\n")}`);
}

/** Checks cases that were drawn at random. One that fails is shrunk; the error holds its text and arguments. */
export async function checkDrawnOnGpu(machine: GpuMachine, cases: Iterable<GpuCase>): Promise<void> {
  const wrong = await differencesOnGpu(machine, cases);
  const [first] = wrong;
  if (first === undefined) return;
  const { tolerance, byRounding = false, forms = gpuForms } = first.case;
  const options = { forms, byRounding, ...(tolerance === undefined ? {} : { tolerance }) };
  const differs = async (one: GraphCase) => (await differencesOnGpu(machine, [{ ...one, ...options }]))[0];
  const small = await shrinkCaseLater(first.case, async (one) => (await differs(one)) !== undefined);
  const again = await differs(small);
  const others = wrong.map(({ case: { text } }) => text).join(", ");
  throw new Error(`${again?.message ?? first.message}\n${caseText(small)}\nAll that differ: ${others}`);
}
