/**
 * Lifetimes of handles: each live handle is known with the line that made it, freed exactly by `dispose`, `using` or
 * `scope`, and eventually by the collector, which is told about memory it cannot see.
 */
import { HeapFullError, theMachine } from "@sinter/runtime";
import { locText, OutOfMemoryError, type Site } from "./errors.ts";
import { gpuBytes } from "./gpu/session.ts";
import type { Lazy } from "./lazy.ts";

/** One live handle of an eager value. Cleared when the handle is disposed. */
export interface HandleRecord {
  lazy: Lazy | undefined;
  readonly site: Site | undefined;
}

const live = new Set<HandleRecord>();
const pressureStep = 32 * 1024 * 1024;
let pressure = 0;
const registry = new FinalizationRegistry<HandleRecord>(letGo);

/** Notes a new handle; it counts as one use of the value. */
export function track(handle: object, lazy: Lazy, site: Site | undefined): HandleRecord {
  const record: HandleRecord = { lazy: lazy.retain(), site };
  lazy.site ??= site;
  live.add(record);
  registry.register(handle, record);
  pressure += lazy.bytes;
  sinceYield += lazy.bytes;
  if (pressure > pressureStep) {
    // The collector counts array buffers but not our heap: garbage of that size makes it look.
    pressure = 0;
    new ArrayBuffer(pressureStep);
  }
  return record;
}

/** Ends a handle's use of its value. */
export function letGo(record: HandleRecord): void {
  const { lazy } = record;
  if (lazy === undefined) return;
  record.lazy = undefined;
  live.delete(record);
  pressure = Math.max(0, pressure - lazy.bytes);
  lazy.release();
}

/** What is alive, and which lines made it. */
export interface MemoryReport {
  /** What the heap has grown to. */
  readonly heapBytes: number;
  /** Bytes of the heap in use: tensors, variables, captured constants, working memory. */
  readonly liveBytes: number;
  /** Bytes in use on the GPU: tensors, variables, constants, working memory; 0 where there is none. */
  readonly gpuBytes: number;
  /** Live handles of eager tensors. */
  readonly tensors: number;
  /** Bytes of computed tensors by the line that made the handle, largest first. A value with two handles counts once. */
  readonly byLine: readonly { readonly line: string; readonly bytes: number; readonly tensors: number }[];
}

/** Reports live memory. `byLine` answers "what leaks". */
export function memory(): MemoryReport {
  const { heap } = theMachine();
  const lines = new Map<string, { line: string; bytes: number; tensors: number }>();
  const seen = new Set<Lazy>();
  for (const { lazy, site } of live) {
    if (lazy === undefined) continue;
    const line = locText(site?.loc()) ?? "unknown line";
    let entry = lines.get(line);
    if (entry === undefined) lines.set(line, (entry = { line, bytes: 0, tensors: 0 }));
    entry.tensors++;
    if ((lazy.buffer ?? lazy.gpu) !== undefined && !seen.has(lazy)) entry.bytes += lazy.bytes;
    seen.add(lazy);
  }
  const byLine = [...lines.values()].sort((a, b) => b.bytes - a.bytes || b.tensors - a.tensors);
  return { heapBytes: heap.capacityBytes, liveBytes: heap.liveBytes, gpuBytes: gpuBytes(), tensors: live.size, byLine };
}

/** An error as users see it: running out of memory says who holds it and what to do. */
export function explained(error: unknown): unknown {
  return error instanceof HeapFullError ? explainOutOfMemory(error) : error;
}

function explainOutOfMemory(error: HeapFullError): OutOfMemoryError {
  const most = memory()
    .byLine.slice(0, 3)
    .map(({ line, bytes, tensors }) => `\n  ${(bytes / 2 ** 20).toFixed(1)} MiB in ${tensors} tensors made at ${line}`);
  if (error.bytes > error.maximumBytes)
    return new OutOfMemoryError(`${error.message}. This much never fits: work on parts of it.`, error);
  return new OutOfMemoryError(
    `${error.message}.${most.length > 0 ? ` Most is held by${most.join("")}` : ""}\n` +
      "A loop that never awaits gives the collector no chance to free tensors: use `using x = ...`, x.dispose(), or scope(() => ...).",
    error,
  );
}

/** Above this much live memory, reading a tensor lets finalisers run, each time this much more was made. */
const softLimit = 256 * 1024 * 1024;
const yieldStep = 64 * 1024 * 1024;
let sinceYield = 0;

/** Lets finalisers run where much memory is live: they only run between macrotasks. */
export async function yieldUnderPressure(): Promise<void> {
  if (sinceYield < yieldStep || theMachine().heap.liveBytes < softLimit) return;
  sinceYield = 0;
  await new Promise<void>((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
