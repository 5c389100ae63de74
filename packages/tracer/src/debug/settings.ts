/** Whether programs are built to find mistakes: options of `compile`, or SINTER_DEBUG and SINTER_VERIFY for all of them. */

export interface Checking {
  /** Finds the first NaN, infinity or index out of range. */
  readonly debug: boolean;
  /** Compares every call with the reference evaluator. */
  readonly verify: boolean;
}

/** What is asked for: by the options where they say so, else by the environment. */
export function checking(options: { readonly debug?: boolean; readonly verify?: boolean }): Checking {
  return {
    debug: options.debug ?? inEnvironment("SINTER_DEBUG"),
    verify: options.verify ?? inEnvironment("SINTER_VERIFY"),
  };
}

function inEnvironment(name: string): boolean {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  const value = process?.env?.[name];
  return value !== undefined && !["", "0", "false"].includes(value);
}

/** What either asks for. */
export function either(a: Checking, b: Checking): Checking {
  return { debug: a.debug || b.debug, verify: a.verify || b.verify };
}
