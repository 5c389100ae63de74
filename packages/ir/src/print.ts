/**
 * Graphs as text. The text is the identity of a graph: golden tests, dumps, errors and compile keys use it, and
 * `parse.ts` reads it back. Source positions are comments and not part of it.
 */
import type { TypedArray } from "./dtype.ts";
import type { Graph, GraphResult, Loc, Node, Param, Value } from "./graph.ts";
import type { Sym } from "./nest/expr.ts";
import { findOp } from "./ops/index.ts";
import { attrsText, type NameData, nameByHash, numberText, sameData, typeText } from "./text.ts";

export interface PrintOptions {
  /** Where each node was written, as a comment behind it. */
  readonly locs?: boolean;
}

/** One line of a printed graph and what it shows. `node` is a position in `Graph.nodes`. */
export interface GraphLine {
  readonly text: string;
  readonly kind: "header" | "node" | "region" | "return" | "end";
  readonly node?: number;
}

export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  return textOf(graphLines(graph, options));
}

/** As `printGraph`, with the contents of the constants that the text only names. */
export function printGraphWithData(
  graph: Graph,
  options: PrintOptions = {},
): { readonly text: string; readonly data: ReadonlyMap<string, TypedArray> } {
  const data = new Map<string, TypedArray>();
  const name: NameData = (array) => {
    const base = nameByHash(array);
    let label = base;
    for (let i = 1; ; i++) {
      const known = data.get(label);
      if (known === undefined) data.set(label, array);
      if (known === undefined || sameData(known, array)) return label;
      label = `${base}.${i}`;
    }
  };
  return { text: textOf(graphLines(graph, options, name)), data };
}

/** As `printGraph`, with large constants named by `name`: the exact identity of a graph where equal names mean equal data. */
export function graphText(graph: Graph, name: NameData): string {
  return textOf(graphLines(graph, {}, name));
}

function textOf(lines: readonly GraphLine[]): string {
  return `${lines.map((line) => line.text).join("\n")}\n`;
}

/** `%x` for a parameter, `%0`, `%1`, ... for node results in order. */
export function valueName(graph: Pick<Graph, "params">, value: Pick<Value, "id">): string {
  const param = graph.params[value.id];
  return param === undefined ? `%${value.id - graph.params.length}` : `%${param.name}`;
}

export function locText(loc: Loc): string {
  return `${loc.file}:${loc.line}:${loc.column}${loc.name === undefined ? "" : ` ${loc.name}`}`;
}

function symText(sym: Sym): string {
  return `${sym.name} in [${numberText(sym.lo)},${numberText(sym.hi)}]`;
}

function paramText(param: Param): string {
  const kind = param.kind === "state" || param.kind === "const" ? `${param.kind} ` : "";
  return `%${param.name}: ${kind}${typeText(param.value.type)}`;
}

function resultText(graph: Graph, result: GraphResult): string {
  const value = valueName(graph, result.value);
  return result.kind === "out" ? value : result.kind === "state" ? `state[${result.param}] ${value}` : `token ${value}`;
}

/** The line of a node, without its regions. */
export function nodeText(graph: Pick<Graph, "params">, node: Node, name: NameData = nameByHash): string {
  const names = node.operands.map((v) => valueName(graph, v));
  let operands = names.join(", ");
  if (node.groups.length > 0) {
    let start = 0;
    const groups = node.groups.map((group) => {
      const text = `${group.name}(${names.slice(start, start + group.count).join(", ")})`;
      start += group.count;
      return text;
    });
    operands = [...groups, ...names.slice(start)].join(", ");
  }
  const attrs = attrsText(findOp(node.op)?.attrs ?? {}, node.attrs, name);
  const results = node.results.map((v) => valueName(graph, v)).join(", ");
  const head = results === "" ? node.op : `${results} = ${node.op}`;
  const types = node.results.map((v) => typeText(v.type)).join(", ");
  return [head, operands, attrs, types === "" ? "" : `: ${types}`].filter((part) => part !== "").join(" ");
}

/** The lines of a graph; those of regions belong to the node that has them. */
export function graphLines(graph: Graph, options: PrintOptions = {}, name: NameData = nameByHash): GraphLine[] {
  const where = graph.syms.length === 0 ? "" : ` where ${graph.syms.map(symText).join(", ")}`;
  const lines: GraphLine[] = [
    { kind: "header", text: `graph @${graph.name}(${graph.params.map(paramText).join(", ")})${where} {` },
  ];
  graph.nodes.forEach((node, i) => {
    const locs = options.locs === true ? (graph.debug.locs[i] ?? []) : [];
    const comment = locs.length === 0 ? "" : `  # ${locs.map(locText).join("; ")}`;
    lines.push({ kind: "node", node: i, text: `  ${nodeText(graph, node, name)}${comment}` });
    for (const region of node.regions)
      for (const line of graphLines(region, options, name))
        lines.push({ kind: "region", node: i, text: `    ${line.text}` });
  });
  const results = graph.results.map((result) => resultText(graph, result)).join(", ");
  lines.push({ kind: "return", text: results === "" ? "  return" : `  return ${results}` }, { kind: "end", text: "}" });
  return lines;
}
