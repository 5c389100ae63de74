/** Which backend new programs are for. */
import type { Backend } from "@sinter/runtime";
import { SinterError } from "./errors.ts";

const backends: readonly Backend[] = ["wasm", "reference"];
let chosen: Backend = "wasm";

/** The backends that programs can be compiled for: `wasm`, and `reference`, slow and obvious, for comparison. */
export function listBackends(): readonly Backend[] {
  return backends;
}

/** Chooses the backend of everything that is compiled from now on. Throws for a name that `listBackends()` lacks. */
export function setBackend(name: Backend): void {
  chosen = checkBackend("setBackend", name);
}

export function currentBackend(): Backend {
  return chosen;
}

export function checkBackend(caller: string, name: Backend): Backend {
  if (!backends.includes(name))
    throw new SinterError(`${caller}: there is no backend ${JSON.stringify(name)}; there are ${backends.join(", ")}`);
  return name;
}
