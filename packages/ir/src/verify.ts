/** Checks everything that holds of a finished graph. Passes run it after each step in tests and with checks turned on. */
import type { OpDef } from "./define-op.ts";
import type { Graph, Node, Value, ValueType } from "./graph.ts";
import { visitAtoms } from "./nest/index-algebra.ts";
import { findOp } from "./ops/index.ts";
import { graphLines, valueName } from "./print.ts";
import { sameType, typeText } from "./text.ts";

/** A broken graph: `reason` alone, and in the message also the printed line and its neighbours. */
export class VerifyError extends Error {
  override readonly name = "VerifyError";
  readonly reason: string;
  readonly graph: Graph;
  /** Position of the node, where it is a node that is wrong. */
  readonly node: number | undefined;
  constructor(message: string, reason: string, graph: Graph, node: number | undefined) {
    super(message);
    this.reason = reason;
    this.graph = graph;
    this.node = node;
  }
}

/** Where to point: a node, the header or the results; `at` is text on that line. */
interface Place {
  readonly line: "header" | "return" | number;
  readonly at?: string;
}

const around = 2;

function fail(graph: Graph, place: Place, reason: string): never {
  const lines = graphLines(graph);
  const found = lines.findIndex((l) =>
    typeof place.line === "number" ? l.kind === "node" && l.node === place.line : l.kind === place.line,
  );
  const index = Math.max(0, found);
  const text = lines[index]!.text;
  const column = place.at === undefined ? -1 : findWord(text, place.at);
  const indent = text.length - text.trimStart().length;
  const caret =
    column < 0
      ? " ".repeat(indent) + "^".repeat(Math.max(1, text.length - indent))
      : " ".repeat(column) + "^".repeat(place.at!.length);
  const shown = lines.slice(Math.max(0, index - around), index + around + 1).flatMap((line) => {
    const here = line === lines[index];
    return here ? [`> ${line.text}`, `  ${caret}`] : [`  ${line.text}`];
  });
  throw new VerifyError(
    `graph @${graph.name}: ${reason}\n${shown.join("\n")}`,
    reason,
    graph,
    typeof place.line === "number" ? place.line : undefined,
  );
}

/** Where a word stands: `%1` is not found inside `%10`. The last place, so that an operand is preferred to a result. */
function findWord(text: string, word: string): number {
  for (let i = text.lastIndexOf(word); i >= 0; i = i === 0 ? -1 : text.lastIndexOf(word, i - 1))
    if (!/[A-Za-z0-9_]/.test(text[i + word.length] ?? " ")) return i;
  return -1;
}

/** Throws `VerifyError` where the graph breaks a rule. */
export function verifyGraph(graph: Graph): void {
  verifyHeader(graph);
  const defined = new Set<Value>(graph.params.map((p) => p.value));
  let nextId = graph.params.length;
  graph.nodes.forEach((node, i) => {
    verifyNode(graph, node, i, defined);
    for (const result of node.results) {
      if (result.id !== nextId)
        fail(graph, { line: i }, `result has id ${result.id} where ids in order make it ${nextId}`);
      nextId++;
      defined.add(result);
    }
  });
  verifyResults(graph, defined);
  verifySyms(graph);
  verifyTokens(graph);
  if (graph.debug.locs.length > graph.nodes.length)
    fail(
      graph,
      { line: "header" },
      `there are positions for ${graph.debug.locs.length} nodes of ${graph.nodes.length}`,
    );
}

function verifyHeader(graph: Graph): void {
  const names = new Set<string>();
  graph.params.forEach((param, i) => {
    const place: Place = { line: "header", at: `%${param.name}` };
    if (param.value.id !== i) fail(graph, place, `parameter ${i} has id ${param.value.id}`);
    if (!/^[A-Za-z_][A-Za-z0-9_.]*$/.test(param.name)) fail(graph, place, `"${param.name}" is not a name`);
    if (names.has(param.name)) fail(graph, place, `two parameters are named %${param.name}`);
    names.add(param.name);
    if ((param.kind === "token") !== (param.value.type.kind === "token"))
      fail(graph, place, `a parameter of kind ${param.kind} cannot be ${typeText(param.value.type)}`);
  });
}

function verifyNode(graph: Graph, node: Node, i: number, defined: ReadonlySet<Value>): void {
  const def = findOp(node.op) ?? fail(graph, { line: i, at: node.op }, `there is no op ${node.op}`);
  for (const operand of node.operands)
    if (!defined.has(operand)) {
      const name = valueName(graph, operand);
      fail(graph, { line: i, at: name }, `operand ${name} is not defined before its use`);
    }
  for (const name of Object.keys(node.attrs))
    if (!Object.hasOwn(def.attrs, name) && node.attrs[name] !== undefined)
      fail(graph, { line: i, at: node.op }, `op ${node.op} has no attribute ${name}`);
  const total = node.groups.reduce((n, g) => n + g.count, 0);
  const names = node.groups.map((g) => g.name).join(", ");
  if (node.groups.length > 0 || def.groups.length > 0) {
    if (names !== def.groups.join(", "))
      fail(
        graph,
        { line: i, at: node.op },
        `operand groups of ${node.op} are (${names}), not (${def.groups.join(", ")})`,
      );
    if (total !== node.operands.length)
      fail(graph, { line: i, at: node.op }, `operand groups hold ${total} of ${node.operands.length} operands`);
  }
  node.regions.forEach((region, r) => {
    try {
      verifyGraph(region);
    } catch (error) {
      if (!(error instanceof VerifyError)) throw error;
      throw new VerifyError(
        `in region ${r} of ${node.op} in graph @${graph.name}: ${error.message}`,
        error.reason,
        error.graph,
        error.node,
      );
    }
  });
  const types = derivedTypes(graph, node, i, def);
  if (types.length !== node.results.length)
    fail(graph, { line: i, at: node.op }, `op ${node.op} has ${types.length} results, not ${node.results.length}`);
  node.results.forEach((result, k) => {
    if (!sameType(result.type, types[k]!))
      fail(
        graph,
        { line: i, at: typeText(result.type) },
        `result ${k} is ${typeText(result.type)} where the op gives ${typeText(types[k]!)}`,
      );
  });
}

function derivedTypes(graph: Graph, node: Node, i: number, def: OpDef): readonly ValueType[] {
  const operands = node.operands.map((v) => v.type);
  try {
    return def.type(operands, node.attrs, node.regions, node.groups);
  } catch (error) {
    return fail(graph, { line: i, at: node.op }, (error as Error).message);
  }
}

function verifyResults(graph: Graph, defined: ReadonlySet<Value>): void {
  const replaced = new Set<number>();
  for (const result of graph.results) {
    const name = valueName(graph, result.value);
    const place: Place = { line: "return", at: name };
    if (!defined.has(result.value)) fail(graph, place, `result ${name} is not defined`);
    const { type } = result.value;
    if ((type.kind === "token") !== (result.kind === "token"))
      fail(graph, place, `a result of kind ${result.kind} cannot be ${typeText(type)}`);
    if (result.kind !== "state") continue;
    const param = graph.params[result.param];
    if (param?.kind !== "state")
      fail(graph, { line: "return", at: `state[${result.param}]` }, `parameter ${result.param} is not a state`);
    else if (!sameType(param.value.type, type))
      fail(graph, place, `state %${param.name} is ${typeText(param.value.type)}, its new value ${typeText(type)}`);
    if (replaced.has(result.param))
      fail(graph, { line: "return", at: `state[${result.param}]` }, `state ${result.param} has two new values`);
    replaced.add(result.param);
  }
}

function verifySyms(graph: Graph): void {
  const known = new Map(graph.syms.map((s) => [s.name, s]));
  if (known.size !== graph.syms.length) fail(graph, { line: "header" }, "a symbolic size is declared twice");
  const check = (value: Value, line: Place["line"]): void => {
    if (value.type.kind === "token") return;
    for (const dim of value.type.shape) {
      if (typeof dim === "number") {
        if (!Number.isInteger(dim) || dim < 0) fail(graph, { line, at: typeText(value.type) }, `${dim} is not a size`);
        continue;
      }
      visitAtoms(dim, (atom) => {
        const place: Place = { line, at: typeText(value.type) };
        if (atom.kind === "axis" || atom.kind === "dyn") fail(graph, place, `size ${dim.key} depends on ${atom.key}`);
        if (atom.kind !== "sym") return;
        const sym = known.get(atom.sym.name);
        if (sym === undefined) fail(graph, place, `symbolic size ${atom.sym.name} is not declared`);
        else if (sym.lo !== atom.sym.lo || sym.hi !== atom.sym.hi)
          fail(graph, place, `symbolic size ${atom.sym.name} is declared with other bounds`);
      });
    }
  };
  for (const param of graph.params) check(param.value, "header");
  graph.nodes.forEach((node, i) => {
    for (const result of node.results) check(result, i);
  });
}

/** Effects are in one order: each token is used once, by a node or as a result. */
function verifyTokens(graph: Graph): void {
  const used = new Set<Value>();
  const use = (value: Value, line: Place["line"]): void => {
    if (value.type.kind !== "token") return;
    const name = valueName(graph, value);
    if (used.has(value)) fail(graph, { line, at: name }, `token ${name} is used twice, so effects have no order`);
    used.add(value);
  };
  graph.nodes.forEach((node, i) => {
    for (const operand of node.operands) use(operand, i);
  });
  for (const result of graph.results) use(result.value, "return");
}
