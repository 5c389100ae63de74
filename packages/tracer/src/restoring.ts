/** Runs that change nothing: variables hold afterwards what they held before. */
import type { VariableCell } from "./frame.ts";

/** Runs `body`, after which all variables hold what they held. */
export function restoring<T>(variables: readonly VariableCell[], body: () => T): T {
  const restore = held(variables);
  try {
    return body();
  } finally {
    restore();
  }
}

/** As `restoring`, for a body that takes its time. */
export async function restoringLater<T>(variables: readonly VariableCell[], body: () => Promise<T>): Promise<T> {
  const restore = held(variables);
  try {
    return await body();
  } finally {
    restore();
  }
}

function held(variables: readonly VariableCell[]): () => void {
  // Being held here, the values are not overwritten by a program that updates them.
  const before = variables.map((variable) => variable.current().retain());
  return () => {
    before.forEach((lazy, i) => {
      variables[i]!.rebind(lazy);
      lazy.release();
    });
  };
}
