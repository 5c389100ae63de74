/** What the lowerings of single constructs share: the plan, the edits, and the way back into the tree. */
import type { FileModel, Unit } from "../analysis/model.ts";
import type { Plan } from "../analysis/plan.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { TypeOracle } from "../oracle/oracle.ts";
import { type Jump, type Node, ts } from "../syntax.ts";
import type { Edits } from "./edits.ts";
import type { Locations } from "./locations.ts";

export interface LoweringOptions {
  readonly checks: boolean;
  readonly tags: boolean;
}

export class Lowering {
  readonly model: FileModel;
  readonly plan: Plan;
  readonly oracle: TypeOracle;
  readonly edits: Edits;
  readonly locations: Locations;
  readonly diagnostics: Diagnostics;
  readonly options: LoweringOptions;
  /** The unit that the walk is in. */
  unit: Unit;
  /** How many staged blocks of the unit enclose the walk, all and those inside the innermost try with a catch. */
  depth = 0;
  depthOfTry = 0;
  inTry = false;
  /** Numbers of loops and labels, for the names of their flags. */
  private readonly numbers = new Map<Node, number>();
  /** Set by the pipeline: lowers a node and what is in it. */
  visit: (node: Node) => void = () => {};
  /** Lowers a list of statements. */
  list: (statements: readonly ts.Statement[]) => void = () => {};

  constructor(
    plan: Plan,
    oracle: TypeOracle,
    edits: Edits,
    locations: Locations,
    diagnostics: Diagnostics,
    options: LoweringOptions,
  ) {
    this.model = plan.model;
    this.plan = plan;
    this.oracle = oracle;
    this.edits = edits;
    this.locations = locations;
    this.diagnostics = diagnostics;
    this.options = options;
    this.unit = plan.model.units[0]!;
  }

  visitChildren(node: Node): void {
    ts.forEachChild(node, this.visit);
  }

  /** Walks what becomes a function of its own. */
  staged(body: () => void): void {
    this.depth++;
    body();
    this.depth--;
  }

  /** The flag that a lowered jump sets. */
  flagOf(jump: Jump): string {
    if (ts.isReturnStatement(jump)) return "$r";
    const target = this.plan.targetOf(jump);
    return `${ts.isBreakStatement(jump) ? "$b" : "$c"}${this.numberOf(target)}`;
  }

  numberOf(target: Node): number {
    let number = this.numbers.get(target);
    if (number === undefined) {
      number = this.numbers.size + 1;
      this.numbers.set(target, number);
    }
    return number;
  }

  /** The flags of jumps, each once. */
  flagsOf(jumps: readonly Jump[]): string[] {
    return [...new Set(jumps.map((jump) => this.flagOf(jump)))];
  }
}
