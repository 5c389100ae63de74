/** Whether one value is computed from another, through any number of nodes. */
import type { GraphModel } from "./model.ts";

export class Dependence {
  private readonly model: GraphModel;
  private readonly below = new Map<number, ReadonlySet<number>>();

  constructor(model: GraphModel) {
    this.model = model;
  }

  depends(value: number, on: number): boolean {
    return value > on && this.reached(on).has(value);
  }

  private reached(from: number): ReadonlySet<number> {
    let out = this.below.get(from);
    if (out === undefined) {
      const found = new Set<number>([from]);
      // Nodes are in topological order, so one sweep over the later ones reaches everything.
      const start = Math.min(...this.model.users[from]!, this.model.graph.nodes.length);
      for (let n = start; n < this.model.graph.nodes.length; n++) {
        const node = this.model.graph.nodes[n]!;
        if (node.operands.some((v) => found.has(v.id))) for (const r of node.results) found.add(r.id);
      }
      out = found;
      this.below.set(from, out);
    }
    return out;
  }
}
