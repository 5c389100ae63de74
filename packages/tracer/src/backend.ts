/** Which backend new programs are for. */
import type { Backend } from "@sinter/runtime";
import { SinterError } from "./errors.ts";

const backends: readonly Backend[] = ["wasm", "webgpu", "reference"];
let chosen: Backend = "wasm";

/**
 * The backends that programs can be compiled for: `wasm`; `webgpu`, which `await ready("webgpu")` makes usable; and
 * `reference`, slow and obvious, for comparison.
 */
export function listBackends(): readonly Backend[] {
  return backends;
}

/** Chooses the backend of everything that is compiled from now on. Throws for a name that `listBackends()` lacks. */
export function setBackend(name: Backend): void {
  chosen = checkBackend("setBackend", name);
}

/** The backend of operations outside compiled functions, and of functions that name none. */
export function currentBackend(): Backend {
  return chosen;
}

/** The backend of what is computed in the heap. */
export function heapBackend(): Backend {
  return chosen === "webgpu" ? "wasm" : chosen;
}

/** Runs `body` with operations going to the heap, where their values can be read at once. */
export function onHeap<T>(body: () => T): T {
  const before = chosen;
  chosen = heapBackend();
  try {
    return body();
  } finally {
    chosen = before;
  }
}

export function checkBackend(caller: string, name: Backend): Backend {
  if (!backends.includes(name))
    throw new SinterError(`${caller}: there is no backend ${JSON.stringify(name)}; there are ${backends.join(", ")}`);
  return name;
}
