/**
 * Batching of ops with regions. A scan stays one scan over batched steps, and what it carries is batched where it comes
 * to differ between examples; a while whose test differs runs until every example is done, and examples that are done
 * keep their carry; a cond whose index differs computes every branch and selects. Where examples part and the host is called
 * inside, each example goes its way alone, one after the other.
 */
import {
  Builder,
  type Dim,
  emit,
  type Graph,
  type Node,
  staticDim,
  typeOf,
  type Value,
  type ValueType,
} from "@sinter/ir";
import { callsHost, oneByOne } from "../effects.ts";
import { inlineCalls } from "../inline.ts";
import { guardLoops, mayNotEnd } from "./guard.ts";
import { addParam, bodyOf, buildRegion, byGroup, controlForm } from "./region-op.ts";

interface Batched {
  readonly results: readonly Value[];
  /** Whether a result has the batch axis, which is then its first. */
  readonly batched: readonly boolean[];
}

type Vmap = (
  b: Builder,
  graph: Graph,
  args: readonly Value[],
  inAxes: readonly (number | null)[],
  size: Dim,
) => Batched;

/** What batching of a region op sees; batched operands have the axis in front. */
export interface RegionBatch {
  readonly node: Node;
  readonly operands: readonly Value[];
  readonly batched: readonly boolean[];
  readonly size: Dim;
}

export function batchRegion(b: Builder, batch: RegionBatch, vmap: Vmap): Batched {
  const form = controlForm(batch.node);
  switch (form) {
    case "cond":
      if (batch.batched[0] !== true) return batchCond(b, batch, vmap);
      // An example must not act in a branch that it does not take.
      return callsHost(batch.node) ? apart(b, batch) : selectBranches(b, batch, vmap);
    case "while":
      return batchWhile(b, batch, vmap);
    case "scan":
      return batchScan(b, batch, vmap);
    case "call":
    case undefined:
      throw new Error(`op ${batch.node.op} has regions and no batching`);
    default:
      return form satisfies never;
  }
}

const apart = (b: Builder, { node, operands, batched, size }: RegionBatch): Batched =>
  oneByOne(b, node, operands, batched, staticDim(size));

const axesOf = (batched: readonly boolean[]): (number | null)[] => batched.map((is) => (is ? 0 : null));

/** A value with the batch axis in front, repeated along it where it has none. */
export function withBatchAxis(b: Builder, value: Value, batched: boolean, size: Dim): Value {
  if (batched) return value;
  const { shape } = typeOf(value);
  return emit.broadcastTo(
    b,
    value,
    [size, ...shape],
    shape.map((_, i) => i + 1),
  );
}

/** A region's parameters, those that are batched with the axis in front. */
function addBatched(c: Builder, region: Graph, batched: readonly boolean[], size: Dim): readonly Value[] {
  return region.params.map(({ value, name }, i) =>
    addParam(c, batched[i] ? withAxis(value.type, size) : value.type, name),
  );
}

function withAxis(type: ValueType, size: Dim): ValueType {
  return type.kind === "token" ? type : { ...type, shape: [size, ...type.shape] };
}

/** Which results of a region differ between examples where these parameters do. */
function batchedResults(region: Graph, batched: readonly boolean[], size: Dim, vmap: Vmap): readonly boolean[] {
  const c = new Builder("trial");
  return vmap(c, region, addBatched(c, region, batched, size), axesOf(batched), size).batched;
}

/** The region on examples, its results with the axis in front where `axis` says so. */
function batchedRegion(
  b: Builder,
  region: Graph,
  batched: readonly boolean[],
  axis: readonly boolean[],
  size: Dim,
  vmap: Vmap,
): Graph {
  return buildRegion(b, region.name, (c) => {
    const made = vmap(c, region, addBatched(c, region, batched, size), axesOf(batched), size);
    return made.results.map((value, i) => (axis[i] ? withBatchAxis(c, value, made.batched[i]!, size) : value));
  });
}

function batchCond(b: Builder, { node, operands, batched, size }: RegionBatch, vmap: Vmap): Batched {
  const { index, captures } = byGroup(node, operands);
  const which = batched.slice(index.length);
  const found = node.regions.map((region) => batchedResults(region, which, size, vmap));
  const axis = node.results.map((_, i) => found.some((flags) => flags[i]));
  const branches = node.regions.map((region) => batchedRegion(b, region, which, axis, size, vmap));
  return { results: b.emitRegion(node.op, { index, captures }, node.attrs, branches), batched: axis };
}

function selectBranches(b: Builder, { node, operands, batched, size }: RegionBatch, vmap: Vmap): Batched {
  const index = operands[0]!;
  const last = node.regions.length - 1;
  const isBool = typeOf(index).dtype === "bool";
  // The index clamps: from branch k on, branch k or a later one.
  const atLeast = (k: number): Value => (isBool ? index : b.emit("ge", [index, b.scalar("i32", k)]));
  const picked = (k: number): Value => {
    if (k === 0) return emit.not(b, atLeast(1));
    return k === last ? atLeast(k) : emit.and(b, atLeast(k), emit.not(b, atLeast(k + 1)));
  };
  const axes = axesOf(batched.slice(1));
  const branches = node.regions.map((branch, k) => {
    const region = inlineCalls(branch);
    // An example that takes another branch must not wait for this one's loops, which may never end for it.
    const guarded = mayNotEnd(region) && last > 0;
    const made = guarded
      ? vmap(b, guardLoops(region), [...operands.slice(1), picked(k)], [...axes, 0], size)
      : vmap(b, region, operands.slice(1), axes, size);
    return made.results.map((value, i) => withBatchAxis(b, value, made.batched[i]!, size));
  });
  const results = node.results.map((_, r) =>
    branches.map((made) => made[r]!).reduce((chosen, value, k) => selectExamples(b, atLeast(k), value, chosen)),
  );
  return { results, batched: node.results.map(() => true) };
}

/** Picks per example; `condition` has the batch axis alone. */
function selectExamples(b: Builder, condition: Value, yes: Value, no: Value): Value {
  return yes === no ? yes : emit.select(b, emit.broadcastTo(b, condition, typeOf(yes).shape, [0]), yes, no);
}

/** Which carries differ between examples, at the start or in a later round. `batched` is of the body's parameters. */
function batchedCarries(
  body: Graph,
  batched: readonly boolean[],
  first: number,
  count: number,
  size: Dim,
  vmap: Vmap,
): { readonly params: readonly boolean[]; readonly results: readonly boolean[] } {
  const params = [...batched];
  for (;;) {
    const results = batchedResults(body, params, size, vmap);
    let grown = false;
    for (let i = 0; i < count; i++) if (results[i] && !params[first + i]) params[first + i] = grown = true;
    if (!grown) return { params, results: results.map((is, i) => (i < count ? params[first + i]! : is)) };
  }
}

function batchWhile(b: Builder, { node, operands, batched, size }: RegionBatch, vmap: Vmap): Batched {
  const { captures, init } = byGroup(node, operands);
  const [test, body] = node.regions as readonly [Graph, Graph];
  const first = captures.length;
  const carried = batchedCarries(body, batched, first, init.length, size, vmap);
  const parted = batchedResults(test, carried.params, size, vmap)[0]!;
  // Where examples end at different rounds, everything carried belongs to an example.
  if (parted && callsHost(node)) return apart(b, { node, operands, batched, size });
  const params = parted ? carried.params.map((is, i) => is || i >= first) : carried.params;
  const axis = params.slice(first);
  const start = init.map((value, i) => (axis[i] ? withBatchAxis(b, value, batched[first + i]!, size) : value));
  const regions = parted
    ? freezingRegions(b, test, body, params, first, size, vmap)
    : [batchedRegion(b, test, params, [false], size, vmap), batchedRegion(b, body, params, axis, size, vmap)];
  return { results: b.emitRegion(node.op, { captures, init: start }, node.attrs, regions), batched: axis };
}

/** Runs while any example goes on; those that do not keep what they carry. */
function freezingRegions(
  b: Builder,
  test: Graph,
  body: Graph,
  params: readonly boolean[],
  first: number,
  size: Dim,
  vmap: Vmap,
): readonly [Graph, Graph] {
  const running = (c: Builder, args: readonly Value[]): Value => vmap(c, test, args, axesOf(params), size).results[0]!;
  return [
    buildRegion(b, test.name, (c) => [emit.reduce(c, "or", running(c, addBatched(c, test, params, size)), [0])]),
    buildRegion(b, body.name, (c) => {
      const args = addBatched(c, body, params, size);
      const goes = running(c, args);
      const made = vmap(c, body, args, axesOf(params), size);
      return made.results.map((value, i) =>
        selectExamples(c, goes, withBatchAxis(c, value, made.batched[i]!, size), args[first + i]!),
      );
    }),
  ];
}

function batchScan(b: Builder, { node, operands, batched, size }: RegionBatch, vmap: Vmap): Batched {
  const { captures, init, xs } = byGroup(node, operands);
  const body = bodyOf(node);
  const first = captures.length;
  const carried = batchedCarries(body, batched, first, init.length, size, vmap);
  const start = init.map((value, i) =>
    carried.results[i] ? withBatchAxis(b, value, batched[first + i]!, size) : value,
  );
  // The axis of steps stays in front of the axis of examples.
  const steps = xs.map((x, i) => (batched[first + init.length + i] ? emit.moveAxis(b, x, 1, 0) : x));
  const mapped = batchedRegion(b, body, carried.params, carried.results, size, vmap);
  const results = b.emitRegion(node.op, { captures, init: start, xs: steps }, node.attrs, [mapped]);
  return {
    results: results.map((value, i) =>
      i >= init.length && carried.results[i] ? emit.moveAxis(b, value, 0, 1) : value,
    ),
    batched: carried.results,
  };
}
