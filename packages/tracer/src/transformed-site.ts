/** What the source transform tells `compile` of the function it is given: where it is, and what it captures. */
import type { Loc } from "@sinter/ir";

/** Third argument of `compile` in transformed sources. Its presence says that the function's branches are staged. */
export class TransformedSite {
  readonly loc: Loc;
  /** Names of the captured primitives that are assigned again somewhere. */
  readonly names: readonly string[];
  private readonly read: () => readonly unknown[];

  constructor(loc: Loc, read: () => readonly unknown[], names: readonly string[]) {
    this.loc = loc;
    this.read = read;
    this.names = names;
  }

  /** Their values now, in the order of `names`. One that is not initialised yet is undefined. */
  captures(): readonly unknown[] {
    try {
      return this.read();
    } catch (error) {
      if (error instanceof ReferenceError) return this.names.map(() => undefined);
      throw error;
    }
  }
}
