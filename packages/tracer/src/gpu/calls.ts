/**
 * Calls of programs on the GPU. They return at once; whether one succeeded shows later: its program may still have to be
 * compiled, and its checks are read after it ran. Until then it is in flight, in program order: it keeps all that it reads
 * and writes, and what needs its results fails with it. A call that cannot fail any more is never in flight.
 */
import type { HostFunction, TypedArray } from "@sinter/ir";
import { DeviceMemoryError, GpuBuffer } from "@sinter/runtime";
import type { GpuExecutable } from "@sinter/runtime/webgpu";
import { DeviceLostError, describe, locText, OutOfMemoryError, SinterError, type Site } from "../errors.ts";
import type { VariableCell } from "../frame.ts";
import { Lazy } from "../lazy.ts";
import { isLoss, lostValue } from "./lost.ts";
import { onDevice } from "./memory.ts";
import { placed, recovered, theGpu } from "./session.ts";

export interface Launch {
  readonly name: string;
  readonly where: Site | undefined;
  readonly executable: GpuExecutable;
  readonly buffers: readonly (GPUBuffer | undefined)[];
  /** Values of symbolic sizes, by slot. */
  readonly sizes: readonly number[];
  readonly reads: readonly Lazy[];
  readonly writes: readonly Lazy[];
  readonly host: HostFunction | undefined;
  /** Whether it gives nothing whose reading would tell that it failed: the next read of anything does. */
  readonly isSilent: boolean;
  /** The status that the program writes, and what it means. */
  readonly check: { readonly code: Lazy; meaning(code: number): unknown } | undefined;
  /**
   * Looks into the call when it has run, given what its check says; gives what is wrong besides, undefined where nothing
   * is.
   */
  readonly look?: ((failed: unknown) => Promise<unknown>) | undefined;
}

/** A variable that a call in flight gave its value: one that it writes, or one that it hands on and only stands for. */
interface Update {
  readonly variable: VariableCell;
  readonly before: Lazy | undefined;
  readonly after: Lazy;
  readonly handedOn: Lazy | undefined;
}

/** What a call failed with. */
interface Failure {
  readonly error: unknown;
}

class GpuCall {
  readonly updates: Update[] = [];
  readonly reads: readonly Lazy[];
  readonly writes: readonly Lazy[];
  /** Resolves, and never rejects, when it is known whether the call succeeded, and its failure where it did not. */
  readonly outcome: Promise<Failure | undefined>;
  readonly settled: Promise<void>;
  failure: Failure | undefined;
  private settle: () => void = () => {};

  constructor(reads: readonly Lazy[], writes: readonly Lazy[], outcome: Promise<Failure | undefined>) {
    this.reads = reads;
    this.writes = writes;
    this.outcome = outcome;
    this.settled = new Promise((resolve) => {
      this.settle = resolve;
    });
    for (const lazy of reads) lazy.retain();
    for (const lazy of writes) {
      lazy.retain();
      lazy.gpu!.writer = this;
    }
  }

  /**
   * Gives a variable its value. A value that the call has from elsewhere is there whether the call succeeds or not: until
   * that is known, the variable gets one in the same memory that fails with the call.
   */
  update(variable: VariableCell, value: Lazy): void {
    const isOwn = value.gpu?.writer === this;
    const after = isOwn ? value : standIn(value);
    after.retain();
    after.gpu!.writer = this;
    this.updates.push({
      variable,
      before: variable.held()?.retain(),
      after,
      handedOn: isOwn ? undefined : value.retain(),
    });
    variable.rebind(after);
  }

  fail(failure: Failure): void {
    this.failure = failure;
    for (const lazy of [...this.writes, ...this.updates.map(({ after }) => after)]) lazy.fail(failure.error);
  }

  /** Its variables get back what they held, where nothing else was assigned since. */
  rollBack(): void {
    for (const { variable, before, after } of [...this.updates].reverse())
      if (before !== undefined && variable.held() === after) variable.rebind(before);
  }

  end(): void {
    for (const lazy of this.writes) lazy.gpu!.writer = undefined;
    for (const { variable, before, after, handedOn } of this.updates) {
      if (handedOn !== undefined) {
        after.gpu!.writer = undefined;
        if (this.failure === undefined && variable.held() === after) variable.rebind(handedOn);
      }
      before?.release();
      after.release();
      handedOn?.release();
    }
    for (const lazy of [...this.reads, ...this.writes]) lazy.release();
    this.settle();
  }
}

/**
 * Calls that were submitted, in order, until the device has taken what they ask for. Their memory may be used for something
 * else already: variables that one assigned keep its error where it fails.
 */
const onTrial = new Set<Pick<Launch, "reads" | "writes">>();
/** Resolves when it is known of all these calls so far whether the device took them. */
let judged: Promise<void> = Promise.resolve();

/** Failures of calls that were silent, until a read tells of them. */
const untold: unknown[] = [];
/** Resolves when it is known of all silent calls so far whether they failed. */
let heard: Promise<unknown> = Promise.resolve();

/** In program order. */
const flying: GpuCall[] = [];
let following = false;

/** Queues a call. Its buffers are the caller's, which may let go of them as soon as this returns. */
export function launch(call: Launch): void {
  const { executable, reads, writes, check } = call;
  const { machine } = theGpu();
  const submitted = executable.enqueue(call.buffers, call.sizes, call.host);
  // Nothing waits, so that this call does not either: it is submitted.
  const isCertain =
    machine.turns.idle &&
    call.host === undefined &&
    check === undefined &&
    call.look === undefined &&
    !reads.some((lazy) => lazy.gpu?.writer !== undefined);
  if (isCertain) {
    const trial = { reads, writes };
    onTrial.add(trial);
    judged = submitted.then(
      () => void onTrial.delete(trial),
      (error: unknown) => {
        onTrial.delete(trial);
        const told = located(call, error);
        for (const lazy of writes) lazy.fail(told);
        if (call.isSilent) untold.push(told);
        failReaders();
      },
    );
    if (call.isSilent) listen(judged);
    return;
  }
  const outcome = submitted
    .then(async () => {
      const code = check && (await machine.download(check.code.gpu!.block, "i32", 1));
      const failed = code && check.meaning(code[0]!);
      const error = (await call.look?.(failed)) ?? failed;
      return error === undefined ? undefined : { error };
    })
    .catch((error: unknown): Failure => ({ error: located(call, error) }));
  const flight = new GpuCall(reads, writes, outcome);
  flying.push(flight);
  if (call.isSilent)
    listen(
      flight.settled.then(() => {
        if (flight.failure !== undefined) untold.push(flight.failure.error);
      }),
    );
  if (!following) void follow();
}

function listen(known: Promise<unknown>): void {
  heard = Promise.all([heard, known]);
}

/** Throws what a silent call failed with, once. */
function tell(): void {
  if (untold.length > 0) throw untold.shift();
}

/** An error that arrives in another way. */
function forget(error: unknown): void {
  const at = untold.indexOf(error);
  if (at >= 0) untold.splice(at, 1);
}

/** Settles calls in program order. */
async function follow(): Promise<void> {
  following = true;
  for (let call = flying[0]; call !== undefined; call = flying[0]) {
    const failure = await call.outcome;
    if (failure !== undefined && call.failure === undefined) failFrom(0, failure);
    flying.shift();
    call.end();
  }
  following = false;
}

/** Fails a call in flight and all later ones that read what it should have written. */
function failFrom(position: number, failure: Failure): void {
  const failed = [flying[position]!];
  flying[position]!.fail(failure);
  for (const later of flying.slice(position + 1)) {
    const reason = later.failure === undefined ? later.reads.find((lazy) => lazy.failure !== undefined) : undefined;
    if (reason === undefined) continue;
    later.fail(reason.failure!);
    failed.push(later);
  }
  // The last assignment first, so that each finds the value that it had made.
  for (const call of failed.reverse()) call.rollBack();
}

/** Fails what reads values that failed: it has run on anything. */
function failReaders(): void {
  const failed = ({ reads }: Pick<Launch, "reads">) => reads.find((lazy) => lazy.failure !== undefined)?.failure;
  for (const trial of onTrial) {
    const failure = failed(trial);
    if (failure !== undefined) for (const lazy of trial.writes) lazy.fail(failure.error);
  }
  for (const [position, call] of flying.entries()) {
    const failure = call.failure === undefined ? failed(call) : undefined;
    if (failure !== undefined) failFrom(position, failure);
  }
}

/**
 * Gives a variable a value that a call computed or handed on; it gets the old one back where the call turns out to have
 * failed. `written` is something that the call writes; undefined where there is nothing.
 */
export function update(variable: VariableCell, after: Lazy, written: Lazy | undefined): void {
  const { writer } = written?.gpu ?? {};
  if (writer instanceof GpuCall) writer.update(variable, after);
  else variable.rebind(after);
}

/** Another value in the same memory. */
function standIn(value: Lazy): Lazy {
  onDevice("the value of a variable", value);
  const { gpu } = value;
  const lazy = new Lazy(value.dtype, value.shape);
  lazy.site = value.site;
  lazy.isRecorded = value.isRecorded;
  if (value.status !== undefined) lazy.status = { ...value.status, code: value.status.code.retain() };
  lazy.gpu = new GpuBuffer(gpu!.block, theGpu().machine, { source: gpu!, borrowed: true });
  return lazy;
}

/** The contents of a value on the GPU, as soon as it is known that it was computed; throws where it was not. */
export async function downloaded(lazy: Lazy): Promise<TypedArray> {
  lazy.retain();
  const before = Promise.all([heard, judged]);
  try {
    const { writer } = lazy.gpu!;
    if (writer instanceof GpuCall) await writer.settled;
    const data = lazy.failure === undefined ? await submittedData(lazy) : undefined;
    await before;
    // What the device itself reports comes after the data.
    if (lazy.failure !== undefined || data === undefined) throw lazy.failure?.error;
    tell();
    const { status } = lazy;
    const failed = status?.meaning((await submittedData(status.code))[0]!);
    if (failed !== undefined) throw failed;
    // Another device can have it again.
    if (lazy.rooted > 0 && !lazy.isRecorded) lazy.copy = data.slice();
    return data;
  } catch (error) {
    await before;
    // Of two errors that of the call is why.
    const first = lazy.failure === undefined ? error : lazy.failure.error;
    forget(first);
    if (!isLoss(first)) throw first;
    // Who goes on after this finds a device that works.
    await recovered();
    throw first instanceof DeviceLostError ? first : lostValue(lazy);
  } finally {
    lazy.release();
  }
}

async function submittedData(lazy: Lazy): Promise<TypedArray> {
  const length = lazy.shape.reduce((n, size) => n * size, 1);
  try {
    return await theGpu().machine.download(lazy.gpu!.block, lazy.dtype, length);
  } catch (error) {
    if (isLoss(error)) throw error;
    throw located({ name: `data: the tensor ${describe(lazy)}`, where: lazy.site }, error);
  }
}

/** Resolves when all calls made so far are settled. Rejects with what a silent one failed with. */
export async function landed(): Promise<void> {
  await flying.at(-1)?.settled;
  await Promise.all([heard, judged]);
  tell();
}

/** Whether the program that writes a value has been submitted. */
export function isSubmitted(lazy: Lazy): boolean {
  return lazy.gpu?.writer === undefined;
}

const memoryCure = "dispose of what is not needed, with x.dispose(), using or scope(() => ...), or work on parts";

/** An error of the device as users see it: which function's call it was, and the line. */
export function located(
  { name, where, executable }: Pick<Launch, "name" | "where"> & { readonly executable?: GpuExecutable },
  error: unknown,
): unknown {
  if (error instanceof SinterError) return error;
  const plain = (error instanceof Error ? error.message : String(error)).trimEnd();
  const text = placed(`${name}: ${plain.replace(`webgpu: ${name}: `, "webgpu: ")}`, executable);
  const line = where === undefined ? undefined : locText(where.loc());
  const told =
    error instanceof DeviceMemoryError
      ? new OutOfMemoryError(`${text}: ${memoryCure}`, error, line)
      : new (isLoss(error) ? DeviceLostError : SinterError)(text, line);
  told.cause = error;
  return told;
}
