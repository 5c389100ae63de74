/** Profiles of programs on the GPU: by the device's own clock, one pass for each dispatch. */
import { loadWebgpu, type Peaks, type StepEvent, type TimedRun } from "@sinter/runtime";
import type { TimedGpuProgram } from "@sinter/runtime/webgpu";
import { GpuConcrete } from "../concrete-gpu.ts";
import { SinterError } from "../errors.ts";
import type { TracedFunction } from "../function.ts";
import { landed } from "../gpu/calls.ts";
import { theGpu } from "../gpu/session.ts";
import { restoringLater } from "../restoring.ts";
import type { Tensor } from "../tensor.ts";
import { handlesIn, type Leaf } from "../trees.ts";
import type { Profile } from "./profile.ts";
import { freeClock, noRuns, nothing, repeatsFor, report, warmMilliseconds, warmRuns } from "./report.ts";

export async function profileOnGpu(
  traced: TracedFunction,
  args: readonly unknown[],
  made: Tensor[],
  { repeats, peaks }: { readonly repeats?: number; readonly peaks?: Peaks },
): Promise<Profile> {
  const { machine } = theGpu();
  const { hasClock, measurePeaksOf, timedOnGpu } = await loadWebgpu();
  if (!hasClock(machine))
    throw new SinterError(
      `profileAsync: ${machine.description} has no clock for its passes (the feature "timestamp-query"): time calls from outside, with await x.data() at their end`,
    );
  const leaves: Leaf[] = [];
  const { tree, signature, wiring, result } = traced.concrete(args, leaves, made);
  const { fastMath = false, precision = "f32" } = traced.options;
  const options = { backend: "webgpu", fastMath, precision } as const;
  let timed: TimedGpuProgram | undefined;
  const plain = { ...wiring, checking: { debug: false, verify: false } };
  const concrete = new GpuConcrete(tree, signature, plain, result, options, (graph, settings) => {
    timed ??= printingOnce(timedOnGpu(machine, graph, settings));
    return { executable: timed.executable, backend: "webgpu", used() {} };
  });
  const runs: TimedRun[] = [];
  let last: { readonly events: readonly StepEvent[]; readonly eventCount: number } = noRuns;
  const once = async (): Promise<readonly Tensor[]> => {
    const handles = [...handlesIn(concrete.call(leaves, undefined))] as readonly Tensor[];
    await landed();
    if (timed !== undefined) {
      const { run, ...rest } = await timed.lastRun();
      runs.push(run);
      last = rest;
    }
    return handles;
  };
  const again = async (): Promise<void> => {
    for (const handle of await once()) handle.dispose();
  };
  try {
    const count = await restoringLater(
      wiring.states.map((state) => state.variable),
      async () => {
        // What fails does so where its results are read.
        for (const handle of await once()) {
          await handle.data();
          handle.dispose();
        }
        const began = performance.now();
        for (let i = 0; i < warmRuns || performance.now() - began < warmMilliseconds; i++) await again();
        const milliseconds = runs.at(-1)?.total ?? 0;
        runs.splice(0);
        const wanted = repeats ?? repeatsFor(milliseconds);
        for (let i = 0; i < wanted; i++) await again();
        return wanted;
      },
    );
    if (timed === undefined) return report(traced.name, noRuns, count, peaks ?? nothing);
    const known = peaks ?? (await measurePeaksOf(machine));
    const { steps } = timed;
    return report(traced.name, { steps, runs, ...last, clock: freeClock, device: machine.description }, count, known);
  } finally {
    concrete.dispose();
    timed?.dispose();
  }
}

/** The same program, which writes what it prints in its first call only. */
function printingOnce(timed: TimedGpuProgram): TimedGpuProgram {
  const { executable } = timed;
  let called = false;
  return {
    ...timed,
    executable: {
      slots: executable.slots,
      bytes: executable.bytes,
      ready: executable.ready,
      get isReady() {
        return executable.isReady;
      },
      enqueue(buffers, sizes, host) {
        const silent = called && host !== undefined;
        called = true;
        return executable.enqueue(
          buffers,
          sizes,
          silent ? (call, values) => (call.kind === "print" ? [] : host(call, values)) : host,
        );
      },
      run: (...call) => executable.run(...call),
      record: (...call) => executable.record(...call),
      dispose: () => executable.dispose(),
    },
  };
}
