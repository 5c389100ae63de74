/** `scope(fn)`: frees every handle made inside, except what is returned. */
import { describeValue, SinterError } from "./errors.ts";

interface Handle {
  dispose(): void;
}

let open: Handle[] | undefined;

/** Called for each new handle of an eager value. */
export function noteHandle(handle: Handle): void {
  open?.push(handle);
}

/** Runs `body` and disposes what it made, save what `kept` finds in its result. */
export function runScope<T>(body: () => T, kept: (result: T) => ReadonlySet<object>): T {
  if (typeof body !== "function") throw new SinterError(`scope: body must be a function, not ${describeValue(body)}`);
  const outer = open;
  const mine: Handle[] = [];
  open = mine;
  let result: T;
  try {
    result = body();
    if (result instanceof Promise)
      throw new SinterError(
        "scope: the function is async; handles made after its first await cannot be known. Use `using`.",
      );
  } catch (error) {
    open = outer;
    for (const handle of mine) handle.dispose();
    throw error;
  }
  open = outer;
  const stay = kept(result);
  for (const handle of mine) {
    if (!stay.has(handle)) handle.dispose();
    else outer?.push(handle);
  }
  return result;
}
