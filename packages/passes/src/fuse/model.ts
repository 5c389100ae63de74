/**
 * What fusion knows of a graph: for every value its type, the op entry that makes it and its users. Nothing here
 * decides anything.
 */
import {
  type Attrs,
  assumedRounds,
  type Dim,
  type DType,
  type Graph,
  getOp,
  type HostTensor,
  type IndexExpr,
  indexZero,
  isConst,
  type NestContext,
  type NestRule,
  type Node,
  type Range,
  type ScalarExpr,
  scalarConst,
  scalarRead,
  type TensorType,
  type TypedArray,
  toIndex,
  typeOf,
  typicalDim,
  valueName,
} from "@sinter/ir";

/** One tensor value of the graph. */
export interface ValueInfo {
  readonly id: number;
  readonly type: TensorType;
  /** Position of the node that makes it; -1 for parameters. */
  readonly node: number;
  /** Position among the node's results. */
  readonly result: number;
  readonly operands: readonly number[];
  /** Positions of the nodes whose work it is to compute the value from `operands`. */
  readonly work: readonly number[];
  readonly rule: NestRule<Attrs> | undefined;
  readonly ctx: NestContext<Attrs> | undefined;
  /** Scalar work per element of the op alone. */
  readonly cost: number;
  /** What the op adds to an expression it becomes part of: its cost, but for loops, whose rounds are written once. */
  readonly weight: number;
  /** Contents, where the value is a constant of the graph. */
  readonly data: TypedArray | undefined;
  /** Largest number of elements. */
  readonly points: number;
  /** `%12 name` with the value's name in the printed graph, for notes. */
  readonly label: string;
}

export interface GraphModel {
  readonly graph: Graph;
  /** By value id; undefined for tokens. */
  readonly values: readonly (ValueInfo | undefined)[];
  /** By value id: positions of the nodes that take it, in order, each once. */
  readonly users: readonly (readonly number[])[];
  /** By value id: how many graph results name it. */
  readonly resultUses: readonly number[];
}

/** The largest value a size may take. */
export function maxDim(dim: Dim): number {
  return typeof dim === "number" ? dim : dim.hi;
}

/** Elements, for weighing: symbolic sizes are guessed. */
export function maxPoints(shape: readonly Dim[]): number {
  return shape.reduce<number>((n, d) => n * typicalDim(d), 1);
}

export function bytesPer(dtype: DType): number {
  return dtype === "f64" ? 8 : dtype === "bool" ? 1 : 4;
}

export function infoOf(model: GraphModel, id: number): ValueInfo {
  const info = model.values[id];
  if (info === undefined) throw new Error(`value %${id} is not a tensor that can be lowered`);
  return info;
}

export function buildModel(graph: Graph): GraphModel {
  const values: (ValueInfo | undefined)[] = [];
  const users: number[][] = [];
  const resultUses: number[] = [];
  for (const param of graph.params) {
    users[param.value.id] = [];
    resultUses[param.value.id] = 0;
    if (param.value.type.kind !== "tensor") continue;
    values[param.value.id] = leafInfo(param.value.id, param.value.type, `${param.kind} ${param.name}`);
  }
  graph.nodes.forEach((node, position) => {
    for (const operand of node.operands) {
      const list = users[operand.id]!;
      if (list.at(-1) !== position) list.push(position);
    }
    node.results.forEach((value, result) => {
      users[value.id] = [];
      resultUses[value.id] = 0;
      if (value.type.kind === "token")
        throw new Error(`${node.op} is ordered by a token: it cannot be lowered to a kernel`);
      values[value.id] = nodeInfo(graph, node, position, result);
    });
  });
  for (const result of graph.results) resultUses[result.value.id] = resultUses[result.value.id]! + 1;
  return { graph, values, users, resultUses };
}

function leafInfo(id: number, type: TensorType, label: string): ValueInfo {
  return {
    id,
    type,
    node: -1,
    result: 0,
    operands: [],
    work: [],
    rule: undefined,
    ctx: undefined,
    cost: 0,
    weight: 0,
    data: undefined,
    points: maxPoints(type.shape),
    label,
  };
}

function nodeInfo(graph: Graph, node: Node, position: number, result: number): ValueInfo {
  const value = node.results[result]!;
  const type = typeOf(value);
  const def = getOp(node.op);
  if (def.effect && def.nest.kind !== "host")
    throw new Error(`${valueName(graph, value)} ${node.op} has an effect: it cannot be lowered to a kernel`);
  const tensors = node.operands.every((v) => v.type.kind === "tensor") && def.nest.kind !== "control";
  const { attrs, regions, groups } = node;
  const ctx: NestContext<Attrs> | undefined = tensors
    ? { attrs, operands: node.operands.map(typeOf), results: node.results.map(typeOf), node: position, regions, groups }
    : undefined;
  const cost = ctx === undefined ? 0 : def.cost(ctx);
  const data = node.attrs["data"];
  const holdsData = node.operands.length === 0 && ArrayBuffer.isView(data);
  return {
    id: value.id,
    type,
    node: position,
    result,
    operands: node.operands.map((v) => v.id),
    work: [position],
    rule: ruleOf(node),
    ctx,
    cost,
    weight: regions.length > 0 ? cost / assumedRounds : cost,
    data: holdsData ? (data as TypedArray) : undefined,
    points: maxPoints(type.shape),
    label: `${valueName(graph, value)} ${node.op}`,
  };
}

/** How the results of a node become loops. */
export function ruleOf(node: Node): NestRule<Attrs> {
  return getOp(node.op).nest;
}

/** A parameter or a constant: it has memory of its own before anything runs. */
export function isLeaf(info: ValueInfo): boolean {
  return info.node < 0 || info.data !== undefined;
}

/** The value all elements of a constant have, where they are equal (bits included). */
function uniformValue(data: HostTensor["data"]): number | undefined {
  const first = data[0];
  if (first === undefined) return undefined;
  for (const x of data) if (!Object.is(x, first)) return undefined;
  return first;
}

/**
 * One element of a value that has memory: a read of the value's own number, which stands for a buffer until buffers
 * are chosen. Uniform constants are immediate.
 */
export function readValue(info: ValueInfo, index: readonly IndexExpr[], guard: readonly Range[] = []): ScalarExpr {
  if (info.data !== undefined) {
    const uniform = uniformValue(info.data);
    if (uniform !== undefined) return scalarConst(info.type.dtype, uniform);
  }
  // A size of one has one position, whatever the map says: keys compare equal more often.
  const settled = index.map((ix, i) => {
    const size = toIndex(info.type.shape[i] ?? 1);
    return isConst(size) && size.constant === 1 ? indexZero : ix;
  });
  return scalarRead(info.type.dtype, info.id, settled, guard);
}
