/**
 * Batching of ops with regions. A scan stays one scan over batched steps; a while runs until every example is done, and
 * examples that are done keep their carry; a cond whose index differs between examples computes every branch and selects.
 */
import { type Builder, type Dim, emit, type Graph, type Node, typeOf, type Value } from "@sinter/ir";
import { buildRegion, byGroup } from "./region-op.ts";
import { addParams } from "./transforms.ts";

type Vmap = (
  b: Builder,
  graph: Graph,
  args: readonly Value[],
  inAxes: readonly (number | null)[],
  size: Dim,
) => { readonly results: readonly Value[]; readonly batched: readonly boolean[] };

/** What batching of a region op sees; batched operands have the axis in front. */
export interface RegionBatch {
  readonly node: Node;
  readonly operands: readonly Value[];
  readonly batched: readonly boolean[];
  readonly size: Dim;
}

/** The results, all with the batch axis in front. */
export function batchRegion(b: Builder, batch: RegionBatch, vmap: Vmap): readonly Value[] {
  switch (batch.node.op) {
    case "cond":
      return batch.batched[0] === true ? selectBranches(b, batch, vmap) : batchCond(b, batch, vmap);
    case "while":
      return batchWhile(b, batch, vmap);
    case "scan":
      return batchScan(b, batch, vmap);
    default:
      throw new Error(`op ${batch.node.op} has no batching`);
  }
}

const axesOf = (batched: readonly boolean[]): (number | null)[] => batched.map((is) => (is ? 0 : null));

/** A value with the batch axis in front, repeated along it where it has none. */
function withBatchAxis(b: Builder, value: Value, batched: boolean, size: Dim): Value {
  if (batched) return value;
  const { shape } = typeOf(value);
  return emit.broadcastTo(
    b,
    value,
    [size, ...shape],
    shape.map((_, i) => i + 1),
  );
}

function batchCond(b: Builder, { node, operands, batched, size }: RegionBatch, vmap: Vmap): readonly Value[] {
  const captures = operands.slice(1);
  const branches = node.regions.map((region) =>
    buildRegion(b, region.name, (c) => {
      const made = vmap(c, region, addParams(c, captures), axesOf(batched.slice(1)), size);
      return made.results.map((value, i) => withBatchAxis(c, value, made.batched[i]!, size));
    }),
  );
  return b.emitRegion("cond", { index: [operands[0]!], captures }, {}, branches);
}

function selectBranches(b: Builder, { node, operands, batched, size }: RegionBatch, vmap: Vmap): readonly Value[] {
  const index = operands[0]!;
  const branches = node.regions.map((region) => {
    const made = vmap(b, region, operands.slice(1), axesOf(batched.slice(1)), size);
    return made.results.map((value, i) => withBatchAxis(b, value, made.batched[i]!, size));
  });
  return node.results.map((_, r) =>
    branches
      .map((results) => results[r]!)
      .reduce((chosen, value, k) => {
        // The index clamps: from branch k on, branch k or a later one.
        const here = typeOf(index).dtype === "bool" ? index : b.emit("ge", [index, b.scalar("i32", k)]);
        return selectExamples(b, here, value, chosen);
      }),
  );
}

/** Picks per example; `condition` has the batch axis alone. */
function selectExamples(b: Builder, condition: Value, yes: Value, no: Value): Value {
  return emit.select(b, emit.broadcastTo(b, condition, typeOf(yes).shape, [0]), yes, no);
}

function batchWhile(b: Builder, { node, operands, batched, size }: RegionBatch, vmap: Vmap): readonly Value[] {
  const { captures, init } = byGroup(node, operands);
  const [test, body] = node.regions as readonly [Graph, Graph];
  const fixed = batched.slice(0, captures.length);
  const all = operands.map((value, i) => (i < captures.length ? value : withBatchAxis(b, value, batched[i]!, size)));
  // Examples may end at different rounds, so everything carried belongs to an example.
  const axes = axesOf([...fixed, ...init.map(() => true)]);
  const running = (c: Builder, args: readonly Value[]): Value => {
    const made = vmap(c, test, args, axes, size);
    return withBatchAxis(c, made.results[0]!, made.batched[0]!, size);
  };
  const anyRunning = buildRegion(b, test.name, (c) => [emit.reduce(c, "or", running(c, addParams(c, all)), [0])]);
  const step = buildRegion(b, body.name, (c) => {
    const args = addParams(c, all);
    const goes = running(c, args);
    const made = vmap(c, body, args, axes, size);
    return made.results.map((value, i) =>
      selectExamples(c, goes, withBatchAxis(c, value, made.batched[i]!, size), args[captures.length + i]!),
    );
  });
  return b.emitRegion(
    "while",
    { captures: all.slice(0, captures.length), init: all.slice(captures.length) },
    node.attrs,
    [anyRunning, step],
  );
}

function batchScan(b: Builder, { node, operands, batched, size }: RegionBatch, vmap: Vmap): readonly Value[] {
  const { captures, init, xs } = byGroup(node, operands);
  const body = node.regions[0]!;
  const start = captures.length + init.length;
  // The axis of steps stays in front of the axis of examples.
  const steps = xs.map((x, i) => (batched[start + i] ? emit.moveAxis(b, x, 1, 0) : x));
  const carries = init.map((value, i) => withBatchAxis(b, value, batched[captures.length + i]!, size));
  const which = [...batched.slice(0, captures.length), ...init.map(() => true), ...batched.slice(start)];
  const mapped = buildRegion(b, body.name, (c) => {
    const args = body.params.map((param, i) => {
      const { dtype, shape } = typeOf(param.value);
      return c.param("arg", { kind: "tensor", dtype, shape: which[i] ? [size, ...shape] : shape }, param.name);
    });
    const made = vmap(c, body, args, axesOf(which), size);
    return made.results.map((value, i) => withBatchAxis(c, value, made.batched[i]!, size));
  });
  const results = b.emitRegion("scan", { captures, init: carries, xs: steps }, node.attrs, [mapped]);
  return results.map((value, i) => (i < init.length ? value : emit.moveAxis(b, value, 0, 1)));
}
