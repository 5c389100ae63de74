// What a case is to the bench: a name for `--only`, and a function that measures and reports.
import type { Options } from "../harness/options.ts";
import type { Section } from "../harness/section.ts";
import type { Context } from "../harness/timed-case.ts";

export interface Case {
  readonly name: string;
  run(context: Context): Promise<Section>;
  /** Whether it runs without being named by `--only`; always, unless it says otherwise. */
  runsByDefault?(options: Options): boolean;
}
