/**
 * Numbering and hash-consing of expressions, per compilation: inside `expressionScope` axis and node numbers start at
 * zero, so that compiling the same graph twice gives the same text, and nothing outlives the compilation. Expressions of
 * different scopes must not mix.
 */
interface Scope {
  axes: number;
  loops: number;
  /** Number of each distinct expression structure, keyed by its text over the numbers of its children. */
  readonly numbers: Map<string, number>;
}

const newScope = (): Scope => ({ axes: 0, loops: 0, numbers: new Map() });
let current = newScope();

/** Runs a compilation with numbering of its own. Synchronous. */
export function expressionScope<T>(run: () => T): T {
  const outer = current;
  current = newScope();
  try {
    return run();
  } finally {
    current = outer;
  }
}

export function nextAxisId(): number {
  return current.axes++;
}

export function nextLoopId(): number {
  return current.loops++;
}

/** A short key that is equal for equal structures. */
export function internKey(structure: string): string {
  let number = current.numbers.get(structure);
  if (number === undefined) {
    number = current.numbers.size;
    current.numbers.set(structure, number);
  }
  return `%${number}`;
}
