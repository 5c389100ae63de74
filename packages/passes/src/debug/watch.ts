/**
 * The pass behind `debug: true`: the graph with one more result, an i32 that is 0 while all is well and else says which
 * site failed first, in the order of execution. It threads through branches and loops as a carry of its own; loops over a
 * test end once it is set. A second graph finds out what the operands were at that moment.
 */
import {
  Builder,
  emit,
  type Graph,
  type GraphResult,
  type Node,
  type NodePath,
  nodeAt,
  pathText,
  type Value,
} from "@sinter/ir";
import { dropDead } from "../control/dead.ts";
import { mayNotEnd } from "../control/guard.ts";
import { controlForm, putTogether, type RegionOp, rebind, type Slot, takeApart } from "../control/region-op.ts";
import { simplify } from "../simplify.ts";
import { Demands } from "./demand.ts";
import { loopsAround } from "./rounds.ts";
import { FloatTests, madeBy, outside, reduceAll, sitesOf, type WatchSite } from "./sites.ts";

export interface Watched {
  /** What the paths of the sites are positions in: simplified, all functions in their places, nothing fused. */
  readonly graph: Graph;
  /** The code k + 1 stands for site k. */
  readonly sites: readonly WatchSite[];
  /** The graph that runs: the same parameters and results, then the code. */
  readonly watched: Graph;
}

/** The graph as it is looked at: all that will run and nothing else, each operation where it was written. */
export function settled(graph: Graph, options: { readonly fastMath?: boolean } = {}): Graph {
  const settings = { fastMath: options.fastMath ?? false };
  return dropDead(simplify(graph, settings), settings);
}

export function watch(graph: Graph, options: { readonly fastMath?: boolean } = {}): Watched {
  const settings = { fastMath: options.fastMath ?? false };
  const prepared = settled(graph, options);
  const sites = sitesOf(prepared);
  const b = new Builder(prepared.name, settings);
  const args = prepared.params.map((param) => b.param(param.kind, param.value.type, param.name));
  const watcher = new Watcher(sites.map((site, i) => ({ site, code: i + 1 })));
  const { results, state } = watcher.run(b, prepared, args, [], { code: b.scalar("i32", 0), found: [] }, []);
  const kept = prepared.results.map((result, i): GraphResult => ({ ...result, value: results[i]! }));
  return { graph: prepared, sites, watched: b.finish([...kept, { kind: "out", value: state.code }]) };
}

/**
 * The graph that says what happened where a site failed for the first time: its code, the round of each loop around it
 * from the outside in, the operands of the node, then its results. It has the parameters of the watched graph.
 */
export function atSite(of: Watched, code: number): { readonly graph: Graph; readonly rounds: number } {
  const site = of.sites[code - 1];
  if (site === undefined) throw new RangeError(`no site has the code ${code}`);
  const { graph } = of;
  const b = new Builder(graph.name);
  const args = graph.params.map((param) => b.param(param.kind, param.value.type, param.name));
  const node = nodeAt(graph, site.path);
  const zeros = loopsAround(graph, site.path).map(() => b.scalar("i32", 0));
  const found = [...zeros, ...[...node.operands, ...node.results].map((value) => emit.zerosLike(b, value))];
  const watcher = new Watcher([{ site, code }]);
  const { state } = watcher.run(b, graph, args, [], { code: b.scalar("i32", 0), found }, []);
  const results = [state.code, ...state.found].map((value): GraphResult => ({ kind: "out", value }));
  return { graph: b.finish(results), rounds: zeros.length };
}

/** What threads through a program. `found`: what is known of the failure, where that is asked for. */
interface State {
  readonly code: Value;
  readonly found: readonly Value[];
}

interface CodedSite {
  readonly site: WatchSite;
  readonly code: number;
}

/** A check, with what is remembered of the failure. */
interface Check {
  readonly code: number;
  /** The elements at fault. */
  readonly flags: Value;
  readonly found: readonly Value[];
}

class Watcher {
  private readonly byPath = new Map<string, CodedSite[]>();
  /** Paths of ops with a site inside. */
  private readonly around = new Set<string>();

  constructor(sites: readonly CodedSite[]) {
    for (const each of sites) {
      const { path } = each.site;
      const known = this.byPath.get(pathText(path));
      if (known === undefined) this.byPath.set(pathText(path), [each]);
      else known.push(each);
      for (let length = path.length - 1; length > 0; length--) this.around.add(pathText(path.slice(0, length)));
    }
  }

  /** Copies a graph, with its checks. `rounds`: the numbers of the rounds of the loops around it. */
  run(
    b: Builder,
    graph: Graph,
    args: readonly Value[],
    before: NodePath,
    entry: State,
    rounds: readonly Value[],
  ): { readonly results: readonly Value[]; readonly state: State } {
    const values: Value[] = [...args];
    const read = (value: Value): Value => values[value.id]!;
    const tests = new FloatTests(b);
    const demands = new Demands(b, graph, read);
    const late: { readonly value: Value; readonly check: Check }[] = [];
    let state = entry;
    graph.nodes.forEach((node, i) => {
      b.at(graph.debug.locs[i]);
      const path = [...before, i];
      const operands = node.operands.map(read);
      let made: readonly Value[];
      if (this.isThreaded(node, path)) {
        const threaded = this.control(b, node, operands, path, state, rounds);
        made = threaded.results;
        state = threaded.state;
      } else made = b.emitNode(node.op, operands, node.attrs, node.regions, node.groups);
      node.results.forEach((result, k) => {
        values[result.id] = made[k]!;
      });
      for (const { site, code } of this.byPath.get(pathText(path)) ?? []) {
        const flags =
          site.kind === "bounds"
            ? outside(b, site.bound, operands)
            : madeBy(b, node, operands, made[site.result]!, tests);
        const check = { code, flags, found: entry.found.length === 0 ? [] : [...rounds, ...operands, ...made] };
        const value = site.kind === "bounds" ? undefined : node.results[site.result]!;
        if (value === undefined || demands.isWhole(value)) state = noted(b, state, check, isClear(b, state));
        else late.push({ value, check });
      }
    });
    // What is used of a value is known at the end. The first in the order of the text is the first that ran, but for
    // what failed in an earlier round.
    for (const { value, check } of late) {
      const demand = demands.of(value);
      const flags = demand === "all" ? check.flags : emit.and(b, check.flags, demand);
      const sooner = b.emit("or", [isClear(b, state), emit.greater(b, state.code, b.scalar("i32", check.code))]);
      state = noted(b, state, { ...check, flags }, emit.and(b, isClear(b, entry), sooner));
    }
    return { results: graph.results.map((result) => read(result.value)), state };
  }

  private isThreaded(node: Node, path: NodePath): boolean {
    if (controlForm(node) === undefined) return false;
    return this.around.has(pathText(path)) || controlForm(node) === "while" || node.regions.some(mayNotEnd);
  }

  private control(
    b: Builder,
    node: Node,
    operands: readonly Value[],
    path: NodePath,
    state: State,
    rounds: readonly Value[],
  ): { readonly results: readonly Value[]; readonly state: State } {
    const form = controlForm(node)!;
    if (form === "call") throw new Error(`watching ${node.op}: functions must be in their places`);
    const op = takeApart(node, form, operands);
    const outer = rounds.map((value): Slot => ({ value, name: "round" }));
    if (form === "cond") return this.branches(b, op, path, state, outer);
    return this.loop(b, op, path, state, outer);
  }

  private branches(b: Builder, op: RegionOp, path: NodePath, state: State, outer: readonly Slot[]) {
    const captures = [...op.captures, ...outer, ...slotsOf(state)];
    const made = rebind(
      b,
      op,
      { ...op, captures },
      {
        bind: (_, inside) => ({ ...inside, captures: inside.captures.slice(0, op.captures.length) }),
        emit: (c, region, args, inside, r) => {
          const more = inside.captures.slice(op.captures.length);
          const rounds = more.slice(0, outer.length);
          const done = this.run(c, region, args, [...path, r], stateOf(more.slice(outer.length)), rounds);
          return [...done.results, ...valuesOf(done.state)];
        },
      },
    );
    return split(putTogether(b, made), op.regions[0]!.results.length);
  }

  /** The number of the round is a carry; where the test of a while is watched, so is what it says of the next round. */
  private loop(b: Builder, op: RegionOp, path: NodePath, state: State, outer: readonly Slot[]) {
    const [test, carries] = [op.regions[0]!, op.init.length];
    const tested = op.form === "while" && this.around.has(pathText([...path, 0]));
    const outerRounds = outer.map((slot) => slot.value);
    let entry = state;
    const first = b.scalar("i32", 0);
    let going: readonly Slot[] = [];
    if (tested) {
      const args = [...op.captures, ...op.init].map((slot) => slot.value);
      const done = this.run(b, test, args, [...path, 0], state, [...outerRounds, first]);
      going = [{ value: done.results[0]!, name: "going" }];
      entry = done.state;
    }
    const added = [{ value: first, name: "round" }, ...going, ...slotsOf(entry)];
    const captures = [...op.captures, ...outer];
    const made = rebind(
      b,
      op,
      { ...op, captures, init: [...op.init, ...added] },
      {
        bind: (_, inside) => ({
          captures: inside.captures.slice(0, op.captures.length),
          init: inside.init.slice(0, carries),
          xs: inside.xs,
        }),
        emit: (c, region, args, inside, r) => {
          const [round, ...more] = inside.init.slice(carries);
          const now = stateOf(tested ? more.slice(1) : more);
          if (op.form === "while" && r === 0) {
            const goes = tested ? more[0]! : this.copy(c, region, args);
            return [emit.and(c, goes, isClear(c, now))];
          }
          const around = inside.captures.slice(op.captures.length);
          const done = this.run(c, region, args, [...path, r], now, [...around, shown(c, op, round!)]);
          const next = emit.add(c, round!, c.scalar("i32", 1));
          const [carry, rest] = [done.results.slice(0, carries), done.results.slice(carries)];
          if (!tested) return [...carry, next, ...valuesOf(done.state), ...rest];
          const captured = args.slice(0, op.captures.length);
          const again = this.run(c, test, [...captured, ...carry], [...path, 0], done.state, [...around, next]);
          return [...carry, next, again.results[0]!, ...valuesOf(again.state)];
        },
      },
    );
    const all = putTogether(b, made);
    const at = carries + added.length;
    const out = stateOf(all.slice(carries + added.length - valuesOf(entry).length, at));
    return { results: [...all.slice(0, carries), ...all.slice(at)], state: out };
  }

  /** A graph as it is. */
  private copy(c: Builder, graph: Graph, args: readonly Value[]): Value {
    return new Watcher([]).run(c, graph, args, [], { code: c.scalar("i32", 0), found: [] }, []).results[0]!;
  }
}

/** The number of a round as users count: a scan from the end begins with the last. */
function shown(c: Builder, op: RegionOp, round: Value): Value {
  if (op.form !== "scan" || op.attrs["reverse"] !== true) return round;
  return emit.sub(c, c.scalar("i32", (op.attrs["length"] as number) - 1), round);
}

const isClear = (b: Builder, state: State): Value => emit.equal(b, state.code, b.scalar("i32", 0));

/** The state behind a check: its code where an element is at fault and `open` holds. */
function noted(b: Builder, state: State, { code, flags, found }: Check, open: Value): State {
  const failed = emit.and(b, reduceAll(b, "or", flags), open);
  return {
    code: emit.select(b, failed, b.scalar("i32", code), state.code),
    found: state.found.map((old, i) => emit.select(b, failed, found[i]!, old)),
  };
}

const valuesOf = (state: State): Value[] => [state.code, ...state.found];
const stateOf = ([code, ...found]: readonly Value[]): State => ({ code: code!, found });
const slotsOf = (state: State): Slot[] =>
  valuesOf(state).map((value, i) => ({ value, name: i === 0 ? "watched" : "found" }));

function split(all: readonly Value[], count: number): { readonly results: readonly Value[]; readonly state: State } {
  return { results: all.slice(0, count), state: stateOf(all.slice(count)) };
}
