/**
 * How blocks become regions: which values of the current frame they read, in which order the parameters of the region
 * stand, and how a block's graph is copied into a region with these parameters. Emits no control operation itself.
 */
import { Builder, type Graph, inlineGraph, type Value } from "@sinter/ir";
import { currentTrace, type TraceFrame, type VariableCell } from "../frame.ts";
import type { Ref, Traced } from "../lazy.ts";

/** A piece of a program being traced that will become a region: values of enclosing frames become captures. */
export interface Block {
  readonly frame: TraceFrame;
  readonly params: readonly Traced[];
}

/** A block with its results, finished. */
export interface Piece {
  readonly block: Block;
  readonly graph: Graph;
  /** Whether something in the graph uses a parameter, by position. */
  readonly used: readonly boolean[];
}

/** The frame that control operations go to. */
export function enclosing(): TraceFrame {
  const frame = currentTrace();
  if (frame === undefined) throw new Error("a block was emitted outside a trace");
  return frame;
}

/** The variables that any of the blocks assigns, in the order in which they first meet them. */
export function writtenIn(blocks: readonly Block[]): VariableCell[] {
  const written = new Set<VariableCell>();
  for (const { frame } of blocks)
    for (const use of frame.states.values()) if (use.now.value !== use.entry.value) written.add(use.variable);
  return [...written];
}

export function pieceOf(block: Block, outs: readonly Ref[]): Piece {
  const graph = block.frame.builder.finish(outs.map((ref) => ({ kind: "out", value: block.frame.lift(ref).value })));
  const used = graph.params.map(() => false);
  const use = (value: Value): void => {
    if (value.id < used.length) used[value.id] = true;
  };
  for (const node of graph.nodes) node.operands.forEach(use);
  for (const result of graph.results) use(result.value);
  return { block, graph, used };
}

/** Values of a frame that regions read, each once. */
export class Captures {
  readonly values: Value[] = [];
  readonly names: string[] = [];
  private readonly places = new Map<Value, number>();
  private readonly frame: TraceFrame;

  constructor(frame: TraceFrame) {
    this.frame = frame;
  }

  /** Where `ref` stands among the captures. */
  place(ref: Ref, name: string): number {
    const { value } = this.frame.lift(ref);
    let place = this.places.get(value);
    if (place === undefined) {
      place = this.values.push(value) - 1;
      this.names.push(name);
      this.places.set(value, place);
    }
    return place;
  }
}

/** What the parameters after the captures are: those of the block itself, and entries of variables that are carried. */
export interface Carried {
  readonly types: readonly { readonly value: Value; readonly name: string }[];
  /** Where the block's own parameter `index` stands. */
  place(index: number): number;
  /** Where the value of a variable on entry stands; undefined where it is a capture. */
  placeOf(variable: VariableCell): number | undefined;
}

export const nothingCarried: Carried = { types: [], place: (index) => index, placeOf: () => undefined };

/** Regions of one operation: equal captures in all of them, then what is carried. */
export function makeRegions(
  frame: TraceFrame,
  pieces: readonly { readonly piece: Piece; readonly carried: Carried }[],
): { readonly captures: readonly Value[]; readonly regions: readonly Graph[] } {
  const captures = new Captures(frame);
  const placed = pieces.map(({ piece, carried }) => placesOf(frame, piece, carried, captures));
  const regions = pieces.map(({ piece: { graph }, carried }, k) => {
    const b = new Builder(graph.name, { fastMath: frame.builder.fastMath });
    const fixed = captures.values.map((value, i) => b.param("arg", value.type, captures.names[i]!));
    const moving = carried.types.map(({ value, name }) => b.param("arg", value.type, name));
    // A parameter that nothing uses may be any value of the block's: its place is never read.
    const args = placed[k]!.map((at, i) =>
      at === undefined ? unused(b, graph, i) : at.kind === "capture" ? fixed[at.place]! : moving[at.place]!,
    );
    return b.finish(inlineGraph(b, graph, args).map((value) => ({ kind: "out", value })));
  });
  return { captures: captures.values, regions };
}

interface Place {
  readonly kind: "capture" | "carried";
  readonly place: number;
}

function placesOf(
  frame: TraceFrame,
  { block, used }: Piece,
  carried: Carried,
  captures: Captures,
): (Place | undefined)[] {
  const places: (Place | undefined)[] = used.map(() => undefined);
  block.params.forEach((param, i) => {
    places[block.frame.positionOf(param)] = { kind: "carried", place: carried.place(i) };
  });
  for (const { ref, param, own } of block.frame.captures)
    if (used[param]) places[param] = { kind: "capture", place: captures.place(ref, `c${own.value.id}`) };
  for (const { variable, param } of block.frame.states.values()) {
    const place = carried.placeOf(variable);
    if (place !== undefined) places[param] = { kind: "carried", place };
    else if (used[param])
      places[param] = { kind: "capture", place: captures.place(frame.read(variable), variable.name) };
  }
  return places;
}

function unused(b: Builder, graph: Graph, param: number): Value {
  const { type } = graph.params[param]!.value;
  if (type.kind === "token") throw new Error(`region ${graph.name} has an ordering token`);
  const zero = b.scalar(type.dtype, 0);
  return type.shape.length === 0 ? zero : b.emit("broadcast", [zero], { shape: type.shape, dims: [] });
}

/** Emits what a block does into the current frame, with `args` for its parameters; gives `outs`. May be repeated. */
export function inlineBlock(block: Block, outs: readonly Ref[], args: readonly Ref[]): Traced[] {
  const frame = enclosing();
  const written = writtenIn([block]);
  const { graph } = pieceOf(block, [...outs, ...written.map((variable) => block.frame.read(variable))]);
  const values = new Array<Value>(graph.params.length);
  block.params.forEach((param, i) => {
    values[block.frame.positionOf(param)] = frame.lift(args[i]!).value;
  });
  for (const { ref, param } of block.frame.captures) values[param] = frame.lift(ref).value;
  for (const { variable, param } of block.frame.states.values()) values[param] = frame.read(variable).value;
  const results = inlineGraph(frame.builder, graph, values).map((value) => frame.own(value));
  written.forEach((variable, i) => {
    frame.write(variable, results[outs.length + i]!);
  });
  return results.slice(0, outs.length);
}
