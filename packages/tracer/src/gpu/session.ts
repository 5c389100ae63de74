/** The device that programs for the GPU run on, once it has been acquired. */
import { loadWebgpu, ProgramCache } from "@sinter/runtime";
import type { GpuExecutable, GpuMachine } from "@sinter/runtime/webgpu";
import { SinterError } from "../errors.ts";

interface Session {
  readonly machine: GpuMachine;
  readonly programs: ProgramCache<GpuExecutable>;
}

let session: Session | undefined;
/** Pipelines that are being made. */
const compiling = new Set<Promise<void>>();
let coming: Promise<Session> | undefined;

/** Acquires the device, or takes over `device`, which has to come before any other use. */
export async function acquireGpu(device: GPUDevice | undefined): Promise<void> {
  if (device !== undefined && session !== undefined && session.machine.device !== device)
    throw new SinterError('ready: webgpu runs on another device already: give { device } to the first ready("webgpu")');
  coming ??= open(device);
  try {
    session = await coming;
  } catch (error) {
    coming = undefined;
    throw error;
  }
}

async function open(device: GPUDevice | undefined): Promise<Session> {
  // What a page without WebGPU never loads.
  const webgpu = await loadWebgpu();
  const machine = await webgpu.GpuMachine.acquire(device === undefined ? {} : { device });
  const { features } = machine;
  const programs = new ProgramCache(
    ({ fastMath = false }) => `webgpu ${fastMath}`,
    (graph, options) => {
      const executable = webgpu.instantiateOnGpu(machine, webgpu.compileToWebgpu(graph, options, features).program);
      const done = (): void => void compiling.delete(executable.ready);
      compiling.add(executable.ready);
      executable.ready.then(done, done);
      return executable;
    },
  );
  return { machine, programs };
}

/** The device and its programs; an error where it was not made ready. */
export function theGpu(): Session {
  if (session === undefined)
    throw new SinterError('the backend "webgpu" is not ready: write await ready("webgpu") before the first use');
  return session;
}

/** Resolves when the pipelines of all programs are there, or known to fail. */
export async function pipelinesMade(): Promise<void> {
  await Promise.allSettled([...compiling]);
}

/** Bytes in use on the device; 0 where there is none. */
export function gpuBytes(): number {
  return session?.machine.stats.liveBytes ?? 0;
}
