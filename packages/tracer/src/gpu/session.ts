/** The device that programs for the GPU run on, once it has been acquired; another one where it is lost. */
import { loadWebgpu, ProgramCache } from "@sinter/runtime";
import type { DeviceKind, GpuExecutable, GpuMachine } from "@sinter/runtime/webgpu";
import { DeviceLostError, SinterError } from "../errors.ts";

interface Session {
  readonly machine: GpuMachine;
  readonly programs: ProgramCache<GpuExecutable>;
  /** Whether the user brought the device. */
  readonly isGiven: boolean;
}

let session: Session | undefined;
/** Pipelines that are being made. */
const compiling = new Set<Promise<void>>();
/** Where the kernels of programs were written, by their names. */
const places = new WeakMap<object, ReadonlyMap<string, string>>();
let coming: Promise<void> | undefined;
/** Why there was no other device after the last one was lost. */
let refusal: unknown;

/** Acquires the device, or takes over `device`, which has to come before any other use. A lost one is replaced. */
export async function acquireGpu(device: GPUDevice | undefined): Promise<void> {
  if (coming !== undefined) await coming.catch(() => {});
  // A device that was destroyed just now says so with the next messages.
  if (session !== undefined) await nextTask();
  const isThere = session !== undefined && session.machine.lost === undefined;
  if (isThere && device !== undefined && session!.machine.device !== device)
    throw new SinterError('ready: webgpu runs on another device already: give { device } to the first ready("webgpu")');
  if (!isThere) await open(device);
}

function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** One at a time. */
function open(device: GPUDevice | undefined): Promise<void> {
  coming ??= make(device)
    .then(
      (made) => {
        session = made;
        refusal = undefined;
      },
      (error: unknown) => {
        refusal = error;
        throw error;
      },
    )
    .finally(() => {
      coming = undefined;
    });
  return coming;
}

async function make(device: GPUDevice | undefined): Promise<Session> {
  // What a page without WebGPU never loads.
  const webgpu = await loadWebgpu();
  const machine = await webgpu.GpuMachine.acquire(device === undefined ? {} : { device });
  const { features } = machine;
  const programs = new ProgramCache(
    ({ fastMath = false, precision = "f32" }) => `webgpu ${fastMath} ${precision}`,
    (graph, options) => {
      const compiled = webgpu.compileToWebgpu(graph, options, features);
      const executable = webgpu.instantiateOnGpu(machine, compiled.program);
      places.set(executable, webgpu.kernelPlaces(compiled));
      const done = (): void => void compiling.delete(executable.ready);
      compiling.add(executable.ready);
      executable.ready.then(done, done);
      return executable;
    },
  );
  const made = { machine, programs, isGiven: device !== undefined };
  machine.gone.catch(() => {
    // One that was lost before anything ran would be replaced again and again.
    if (session === made && !made.isGiven && machine.stats.submits > 0) reopen();
  });
  return made;
}

function reopen(): void {
  open(undefined).catch(() => {});
}

/** What was said of a program, with the places of the kernels that it names. */
export function placed(text: string, executable: object | undefined): string {
  let out = text;
  for (const [kernel, place] of (executable && places.get(executable)) ?? []) {
    const named = `"${kernel}"`;
    if (!out.includes(named)) continue;
    const [before, ...after] = out.split(named);
    out = `${before}${named} (${place})${after.join(named)}`;
  }
  return out;
}

/** The device and its programs; an error where it was not made ready, or is lost and there is no other yet. */
export function theGpu(): Session {
  if (session === undefined)
    throw new SinterError('the backend "webgpu" is not ready: write await ready("webgpu") before the first use');
  const { lost } = session.machine;
  if (lost === undefined) return session;
  if (!session.isGiven && coming === undefined) reopen();
  throw lostDevice(lost, session.isGiven);
}

function lostDevice(lost: Error, isGiven: boolean): DeviceLostError {
  const told = refusal instanceof Error ? `. Another one could not be had (${refusal.message})` : "";
  const cure = isGiven
    ? 'give another one, await ready("webgpu", { device }), and call again'
    : 'await ready("webgpu") waits for another one; then call again';
  const error = new DeviceLostError(`${lost.message}${told}: ${cure}`);
  error.cause = lost;
  return error;
}

/** What programs are compiled for; undefined where no device was acquired. */
export function gpuKind(): DeviceKind | undefined {
  return session?.machine;
}

/** Resolves when a lost device has been replaced, or cannot be. */
export async function recovered(): Promise<void> {
  if (session?.machine.lost !== undefined && !session.isGiven) reopen();
  await coming?.catch(() => {});
}

/** Resolves when the pipelines of all programs are there, or known to fail. */
export async function pipelinesMade(): Promise<void> {
  await Promise.allSettled([...compiling]);
}

/** Bytes in use on the device; 0 where there is none. */
export function gpuBytes(): number {
  return session?.machine.stats.liveBytes ?? 0;
}
