/** Handles that stand for numbers and booleans of the source, which staged control flow made values of the program. */

const handles = new WeakSet<object>();

export function markWeak(handle: object): void {
  handles.add(handle);
}

export function isWeak(handle: object): boolean {
  return handles.has(handle);
}
