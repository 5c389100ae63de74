/** Runs that change nothing: variables hold afterwards what they held before. */
import type { VariableCell } from "./frame.ts";

/** Runs `body`, after which all variables hold what they held. */
export function restoring<T>(variables: readonly VariableCell[], body: () => T): T {
  // Being held here, the values are not overwritten by a program that updates them.
  const before = variables.map((variable) => variable.current().retain());
  try {
    return body();
  } finally {
    before.forEach((lazy, i) => {
      variables[i]!.rebind(lazy);
      lazy.release();
    });
  }
}
