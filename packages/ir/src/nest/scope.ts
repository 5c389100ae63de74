/**
 * Numbering and hash-consing of expressions, per compilation: inside `expressionScope` axis and node numbers start at
 * zero, so that compiling the same graph twice gives the same text, and nothing outlives the compilation. Expressions of
 * different scopes must not mix.
 */
interface Scope {
  axes: number;
  loops: number;
  /** The one node of each structure, by its text over the keys of its children. */
  readonly nodes: Map<string, object>;
}

const newScope = (): Scope => ({ axes: 0, loops: 0, nodes: new Map() });
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

/** The one node of a structure: made with a short key of its own the first time. */
export function intern<T extends { readonly key: string }>(structure: string, make: (key: string) => T): T {
  const known = current.nodes.get(structure);
  if (known !== undefined) return known as T;
  const made = make(`%${current.nodes.size}`);
  current.nodes.set(structure, made);
  return made;
}
