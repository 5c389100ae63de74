/** The stages of compilation of one traced function, as text and numbers. */
import type { Graph } from "@sinter/ir";
import {
  type Backend,
  type CompileOptions,
  type Cost,
  hasWebgpu,
  type Inspection,
  inspect,
  type StageName,
  type Stages,
  stageNames,
  stagesOf,
} from "@sinter/runtime";
import { checkBackend } from "./backend.ts";
import { describeValue, SinterError } from "./errors.ts";
import { checkTypes } from "./gpu/compile.ts";
import { gpuKind } from "./gpu/session.ts";

export class Lowered {
  /** The graph as traced. */
  readonly graph: Graph;
  private readonly options: CompileOptions;
  private readonly make: (options: CompileOptions) => (...args: readonly unknown[]) => unknown;
  private made: Stages | undefined;

  /** Not for direct use: `f.lower(...)` makes these. */
  constructor(
    graph: Graph,
    options: CompileOptions,
    make: (options: CompileOptions) => (...args: readonly unknown[]) => unknown,
  ) {
    this.graph = graph;
    this.options = options;
    this.make = make;
  }

  /** What the stages are for: the function's backend. */
  get backend(): Backend {
    return this.options.backend;
  }

  /** The same trace for another backend. */
  on(backend: Backend): Lowered {
    return new Lowered(this.graph, { ...this.options, backend: checkBackend("on", backend) }, this.make);
  }

  /**
   * One stage as text, of the program for the function's backend; "wat" and "wgsl" are the code for wasm and for webgpu,
   * whichever that is. Stages for webgpu are made for the device of `ready("webgpu")`, or where it found none for the
   * limits that every device has; the text of "wgsl" begins with which. Throws for a name that is not a stage, and for
   * webgpu before `await ready("webgpu")`, which loads the compiler.
   */
  text(stage: StageName): string {
    if (!stageNames.includes(stage))
      throw new SinterError(`text: there is no stage ${describeValue(stage)}; there are ${stageNames.join(", ")}`);
    const { backend } = this.options;
    if (stage !== "trace") this.check("text", stage === "wat" ? "wasm" : stage === "wgsl" ? "webgpu" : backend);
    return this.stages().text(stage);
  }

  /** Work, memory and size of the program. On webgpu an element takes four bytes, a bool too. */
  cost(): Cost {
    this.check("cost", this.options.backend);
    return this.stages().cost();
  }

  /** All that the compilation for the function's backend did, as plain data: passes, nodes, decisions, kernels, memory. */
  inspect(): Inspection {
    this.check("inspect", this.options.backend);
    return inspect(this.graph, this.options, gpuKind());
  }

  /** A function that runs this very program and never traces. */
  compile(): (...args: readonly unknown[]) => unknown {
    return this.make(this.options);
  }

  private check(caller: string, backend: Backend): void {
    if (backend !== "webgpu") return;
    if (!hasWebgpu())
      throw new SinterError(
        `${caller}: the compiler for webgpu is not loaded: write await ready("webgpu") before; where there is no device it rejects, but loads it`,
      );
    checkTypes(this.graph);
  }

  private stages(): Stages {
    this.made ??= stagesOf(this.graph, this.options, gpuKind());
    return this.made;
  }
}
