/**
 * Ops with regions as steps: `cond` an `if`, `scan` a `for`, `while` a `while`. A loop's carry is the buffer of its result,
 * updated in place where that is right and else exchanged for a second one after each round.
 */
import {
  type Attrs,
  type BufferId,
  Builder,
  type Graph,
  inlineGraph,
  type NestStep,
  type Node,
  operandGroup,
  type TensorType,
  typeOf,
  type Value,
} from "@sinter/ir";
import type { Buffers, Handle } from "./buffers.ts";
import {
  exchanged,
  type Fusing,
  type LevelInput,
  type LevelPlan,
  type LoopDraft,
  type Memory,
  planLevel,
  type RegionPlan,
  type RegionPlanner,
} from "./level.ts";
import { type GraphModel, infoOf } from "./model.ts";
import type { Outlet } from "./storage.ts";
import type { Unit } from "./units.ts";

/** The attributes of a loop along an axis. */
interface ScanAttrs {
  readonly length: number;
  readonly reverse: boolean;
}

/** Nodes of a test that may stand in a program twice, before the loop and behind its body. */
const shortTest = 64;

export class Regions implements RegionPlanner {
  private readonly buffers: Buffers;
  private readonly fusing: Fusing;

  constructor(buffers: Buffers, fusing: Fusing) {
    this.buffers = buffers;
    this.fusing = fusing;
  }

  plan(input: LevelInput): LevelPlan {
    return planLevel(input, this.buffers, this.fusing, this);
  }

  loop(model: GraphModel, unit: Unit): LoopDraft {
    const node = model.graph.nodes[infoOf(model, unit.templates[0]!.id).node]!;
    const { rule } = infoOf(model, unit.templates[0]!.id);
    return rule?.kind === "control" && rule.form === "scan" ? this.scan(node) : this.while(node);
  }

  private scan(node: Node): LoopDraft {
    const { buffers } = this;
    const captures = operandGroup(node, "captures").map((v) => v.id);
    const carried = operandGroup(node, "init").length;
    const xs = operandGroup(node, "xs");
    const { length, reverse } = node.attrs as Attrs & ScanAttrs;
    if (length === 0) return emptyLoop;
    const { graph, kept } = mergeParams(node.regions[0]!, captures);
    const counter = buffers.add("counter", "i32", [], "temp");
    const given = this.placeholders(graph, kept.length + carried);
    /** The whole of what a parameter or a result is a slice of. */
    const whole = (name: string, { dtype, shape }: TensorType): Handle =>
      buffers.add(name, dtype, [length, ...shape], "temp");
    const sliceOf = (of: Handle, name: string, { dtype, shape }: TensorType): Handle =>
      buffers.add(name, dtype, shape, "slice", { slice: { of, counter, reverse } });
    const wholes = xs.map((_, i): Handle => {
      const param = graph.params[kept.length + carried + i]!;
      const type = typeOf(param.value);
      const all = whole(param.name, type);
      given.set(param.value.id, sliceOf(all, `${param.name}_slice`, type));
      return all;
    });
    const stacked: Handle[] = [];
    const outlets = graph.results.map((result, i): Outlet => {
      if (i < carried) return carryOutlet(graph, i, kept.length, given);
      const type = typeOf(result.value);
      const all = whole(`y${i - carried}`, type);
      stacked.push(all);
      const buffer = sliceOf(all, `y${i - carried}_slice`, type);
      return { value: result.value.id, buffer, replaces: undefined, exchange: false, fixed: true };
    });
    const body = this.plan({ graph, params: given, outlets, loop: true });
    const carries = outlets.slice(0, carried).map((o) => o.buffer);
    return {
      floats: this.floating(carries, [body]),
      bind: (memory) => {
        this.uniteCaptures(graph, given, kept, captures, memory);
        for (const [k, handle] of [...carries, ...stacked].entries())
          buffers.unite(handle, memory(node.results[k]!.id));
        for (const [i, x] of xs.entries()) buffers.unite(wholes[i]!, memory(x.id));
        return {
          levels: [["body", body]],
          steps: (build, idOf) => [
            ...copiesBefore(body, idOf),
            { kind: "for", count: length, counter: idOf(counter), body: build(body) },
          ],
        };
      },
    };
  }

  private while(node: Node): LoopDraft {
    const { buffers } = this;
    const captures = operandGroup(node, "captures").map((v) => v.id);
    const { graph: test, kept } = mergeParams(node.regions[0]!, captures);
    const { graph: body } = mergeParams(node.regions[1]!, captures);
    const rotated = test.nodes.length <= shortTest && test.nodes.every((n) => n.regions.length === 0);
    const graph = rotated ? withTest(body, test, kept.length) : body;
    const given = this.placeholders(graph, graph.params.length);
    const predicate = buffers.add("more", "bool", [], "temp");
    const more = (of: Graph, at: number): Outlet => {
      const { value } = of.results[at]!;
      return { value: value.id, buffer: predicate, replaces: undefined, exchange: false, fixed: false };
    };
    const outlets = node.results.map((_, i) => carryOutlet(graph, i, kept.length, given));
    const carries = outlets.map((o) => o.buffer);
    if (rotated) outlets.push(more(graph, carries.length));
    const inside = this.plan({ graph, params: given, outlets, loop: true });
    // Both graphs have the same parameters, so the same numbers for them.
    const before = this.plan({ graph: test, params: given, outlets: [more(test, 0)] });
    return {
      floats: this.floating(carries, [inside]),
      bind: (memory) => {
        this.uniteCaptures(graph, given, kept, captures, memory);
        for (const [k, handle] of carries.entries()) buffers.unite(handle, memory(node.results[k]!.id));
        return {
          levels: [
            ["test", before],
            ["body", inside],
          ],
          steps: (build, idOf) => {
            const copies = copiesBefore(inside, idOf);
            const first = build(before);
            const loop = { kind: "while", predicate: idOf(predicate), body: build(inside) } as const;
            return rotated ? [...copies, ...first, { ...loop, test: [] }] : [...copies, { ...loop, test: first }];
          },
        };
      },
    };
  }

  branches(model: GraphModel, unit: Unit, memory: Memory): RegionPlan {
    const node = model.graph.nodes[infoOf(model, unit.templates[0]!.id).node]!;
    const captures = operandGroup(node, "captures").map((v) => v.id);
    const index = memory.of(operandGroup(node, "index")[0]!.id);
    const branches = node.regions.map((region) => {
      const { graph, kept } = mergeParams(region, captures);
      const params = new Map(kept.map((k, i) => [graph.params[i]!.value.id, memory.of(captures[k]!)]));
      const outlets = graph.results.map(({ value }, k): Outlet => {
        const result = node.results[k]!.id;
        const over = memory.over(result);
        const at = kept.findIndex((i) => captures[i] === over?.operand);
        return {
          value: value.id,
          buffer: memory.of(result),
          replaces: at < 0 ? undefined : graph.params[at]!.value.id,
          exchange: at >= 0 && over?.exchange === true,
          fixed: memory.isFixed(result),
        };
      });
      return this.plan({ graph, params, outlets });
    });
    return {
      levels: branches.map((level, i) => [`branch ${i}`, level]),
      steps: (build, idOf) => [{ kind: "if", index: idOf(index), branches: branches.map(build) }],
    };
  }

  /** Buffers for the first parameters, until it is known which they are. */
  private placeholders(graph: Graph, count: number): Map<number, Handle> {
    return new Map(
      graph.params.slice(0, count).map(({ name, value }) => {
        const { dtype, shape } = typeOf(value);
        return [value.id, this.buffers.add(name, dtype, shape, "temp")];
      }),
    );
  }

  /** What a region captures is the memory of the value outside. */
  private uniteCaptures(
    { params }: Graph,
    given: ReadonlyMap<number, Handle>,
    kept: readonly number[],
    captures: readonly number[],
    memory: (value: number) => Handle,
  ): void {
    for (const [i, k] of kept.entries()) this.buffers.unite(given.get(params[i]!.value.id)!, memory(captures[k]!));
  }

  private floating(carries: readonly Handle[], levels: readonly LevelPlan[]): Set<number> {
    const moving = new Set(levels.flatMap((level) => [...exchanged(level, this.buffers)]));
    return new Set(carries.flatMap((handle, i) => (moving.has(this.buffers.find(handle)) ? [i] : [])));
  }
}

/** A loop of no rounds: its carries are what they start from. */
const emptyLoop: LoopDraft = { floats: new Set(), bind: () => ({ levels: [], steps: () => [] }) };

function copiesBefore({ before }: LevelPlan, idOf: (handle: Handle) => BufferId): NestStep[] {
  return before.map(({ from, to }) => ({ kind: "copy", from: idOf(from), to: idOf(to) }));
}

function carryOutlet(graph: Graph, i: number, captures: number, given: ReadonlyMap<number, Handle>): Outlet {
  const replaces = graph.params[captures + i]!.value.id;
  return { value: graph.results[i]!.value.id, buffer: given.get(replaces)!, replaces, exchange: true, fixed: false };
}

/** A region that takes a captured value once: `kept` are the positions of the captures that are left. */
function mergeParams(region: Graph, captures: readonly number[]): { graph: Graph; kept: readonly number[] } {
  const kept = captures.flatMap((id, i) => (captures.indexOf(id) === i ? [i] : []));
  if (kept.length === captures.length) return { graph: region, kept };
  const b = new Builder(region.name);
  const made = new Map<number, Value>();
  const given = region.params.map((param, i) => {
    const first = i < captures.length ? captures.indexOf(captures[i]!) : i;
    const value = made.get(first) ?? b.param("arg", param.value.type, param.name);
    made.set(first, value);
    return value;
  });
  const results = inlineGraph(b, region, given);
  return { graph: b.finish(results.map((value) => ({ kind: "out", value }))), kept };
}

/** The body of a loop, with what the test says of its results as a last result. */
function withTest(body: Graph, test: Graph, captures: number): Graph {
  const b = new Builder(body.name);
  const given = body.params.map((param) => b.param("arg", param.value.type, param.name));
  const next = inlineGraph(b, body, given);
  const more = inlineGraph(b, test, [...given.slice(0, captures), ...next]);
  return b.finish([...next, ...more].map((value) => ({ kind: "out", value })));
}
