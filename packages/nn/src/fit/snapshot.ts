/** Values of variables as they were. Takes no copy: a variable that is changed afterwards gets memory of its own. */
import type { Tensor, Variable } from "@sinter/tracer";

export class Snapshot {
  private readonly values: readonly (readonly [Variable, Tensor])[];

  constructor(variables: readonly Variable[]) {
    this.values = variables.map((variable) => [variable, variable.value]);
  }

  /** Gives the variables the values back. */
  restore(): void {
    for (const [variable, value] of this.values) variable.assign(value);
  }

  dispose(): void {
    for (const [, value] of this.values) value.dispose();
  }
}
