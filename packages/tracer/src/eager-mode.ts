/** Whether functions run as they were written, operation by operation, for a debugger. */

let depth = 0;

export function isEagerMode(): boolean {
  return depth > 0;
}

/** Runs `body` with compiled functions called as they were written, operation by operation: for a debugger. */
export function withEager<T>(body: () => T): T {
  depth++;
  try {
    return body();
  } finally {
    depth--;
  }
}
