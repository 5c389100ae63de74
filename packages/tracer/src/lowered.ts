/** The stages of compilation of one traced function, as text and numbers. */
import type { Graph } from "@sinter/ir";
import {
  type CompileOptions,
  type Cost,
  type Inspection,
  inspect,
  type StageName,
  type Stages,
  stageNames,
  stagesOf,
} from "@sinter/runtime";
import { describeValue, SinterError } from "./errors.ts";

export class Lowered {
  /** The graph as traced. */
  readonly graph: Graph;
  private readonly options: CompileOptions;
  private readonly make: () => (...args: readonly unknown[]) => unknown;
  private made: Stages | undefined;

  /** Not for direct use: `f.lower(...)` makes these. */
  constructor(graph: Graph, options: CompileOptions, make: () => (...args: readonly unknown[]) => unknown) {
    this.graph = graph;
    this.options = options;
    this.make = make;
  }

  /** One stage as text; throws for a name that is not a stage. */
  text(stage: StageName): string {
    if (!stageNames.includes(stage))
      throw new SinterError(`text: there is no stage ${describeValue(stage)}; there are ${stageNames.join(", ")}`);
    return this.stages().text(stage);
  }

  /** Work, memory and size of the program. */
  cost(): Cost {
    return this.stages().cost();
  }

  /** All that the compilation for wasm did, as plain data: passes, nodes, decisions, kernels, memory. */
  inspect(): Inspection {
    return inspect(this.graph, this.options);
  }

  /** A function that runs this very program and never traces. */
  compile(): (...args: readonly unknown[]) => unknown {
    return this.make();
  }

  private stages(): Stages {
    this.made ??= stagesOf(this.graph, this.options);
    return this.made;
  }
}
