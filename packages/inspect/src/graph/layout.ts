/** Places for the boxes and arrows of a drawing: dagre for each level, the drawings of blocks inside their boxes. */
import { Graph, layout } from "@dagrejs/dagre";
import type { Box, Drawing } from "./model.ts";

export interface Placed {
  readonly label: string;
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly PlacedBox[];
  readonly arrows: readonly PlacedArrow[];
}

export interface PlacedArrow {
  readonly from: string;
  readonly to: string;
  readonly points: readonly Point[];
}

export interface PlacedBox {
  readonly box: Box;
  /** Left upper corner. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly blocks: readonly { readonly x: number; readonly y: number; readonly drawing: Placed }[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

const letter = { title: 7.4, subtitle: 6.5 };
const head = 40;
const small = 38;
const gap = 12;
const margin = 12;
/** Finding the layers that make arrows shortest takes long in large graphs. */
const exactLayers = 250;
/** Beyond that, layers are filled from left to right. */
const layoutLimit = 700;

export const longestText = 30;

export function place(drawing: Drawing): Placed {
  const sized = drawing.boxes.map(measure);
  const arrows = uniqueArrows(drawing);
  const { width, height, corners, paths } =
    sized.length > layoutLimit ? inLayers(sized, arrows) : byDagre(sized, arrows);
  return {
    label: drawing.label,
    width,
    height,
    boxes: sized.map((one, i) => ({ ...one, x: corners[i]!.x, y: corners[i]!.y })),
    arrows: arrows.map(({ from, to }, i) => ({ from, to, points: paths[i]! })),
  };
}

type Sized = Omit<PlacedBox, "x" | "y">;

function measure(box: Box): Sized {
  const text = Math.max(
    Math.min(box.title.length, longestText) * letter.title,
    Math.min(box.subtitle.length, longestText) * letter.subtitle,
  );
  let width = Math.max(56, text + 26);
  let height = box.subtitle === "" ? 26 : isSmall(box) ? small : head;
  const blocks = box.blocks.map((block) => {
    const drawing = place(block);
    const y = height + gap;
    height = y + drawing.height;
    width = Math.max(width, drawing.width + 2 * gap);
    return { x: gap, y, drawing };
  });
  return { box, width, height: blocks.length === 0 ? height : height + gap, blocks };
}

/** What only goes in or comes out. */
export function isSmall(box: Box): boolean {
  return box.kind === "param" || box.kind === "result" || box.kind === "constant";
}

/** Arrows between boxes that there are, each once. */
function uniqueArrows({ boxes, arrows }: Drawing): { readonly from: string; readonly to: string }[] {
  const known = new Set(boxes.map((box) => box.id));
  const unique = new Map(arrows.map((arrow) => [`${arrow.from}\n${arrow.to}`, arrow]));
  return [...unique.values()].filter(({ from, to }) => from !== to && known.has(from) && known.has(to));
}

interface Layout {
  readonly width: number;
  readonly height: number;
  readonly corners: readonly Point[];
  readonly paths: readonly (readonly Point[])[];
}

function byDagre(sized: readonly Sized[], arrows: readonly { readonly from: string; readonly to: string }[]): Layout {
  const graph = new Graph();
  const ranker = sized.length > exactLayers ? "longest-path" : "network-simplex";
  graph.setGraph({ rankdir: "TB", nodesep: 18, edgesep: 10, ranksep: 40, marginx: margin, marginy: margin, ranker });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { box, width, height } of sized) graph.setNode(box.id, { width, height });
  for (const { from, to } of arrows) graph.setEdge(from, to);
  layout(graph);
  const size = graph.graph() as { readonly width?: number; readonly height?: number };
  return {
    width: size.width ?? 0,
    height: size.height ?? 0,
    corners: sized.map(({ box, width, height }) => {
      const { x, y } = graph.node(box.id) as unknown as Point;
      return { x: x - width / 2, y: y - height / 2 };
    }),
    paths: arrows.map(({ from, to }) => {
      // From the middle of the one's foot to the middle of the other's head, by way of the layers between them.
      const [a, b] = [graph.node(from), graph.node(to)] as unknown as readonly (Point & { readonly height: number })[];
      const between = (graph.edge(from, to) as unknown as { readonly points: readonly Point[] }).points.slice(1, -1);
      return [{ x: a!.x, y: a!.y + a!.height / 2 }, ...between, { x: b!.x, y: b!.y - b!.height / 2 }];
    }),
  };
}

/** Each box below all that it needs, layers wrapped at a width that still can be read. Takes time linear in its size. */
function inLayers(sized: readonly Sized[], arrows: readonly { readonly from: string; readonly to: string }[]): Layout {
  const index = new Map(sized.map(({ box }, i) => [box.id, i]));
  const layer = new Array<number>(sized.length).fill(0);
  // Boxes come in an order in which arrows lead forwards, apart from parameters, which stand first.
  const incoming = new Map<number, number[]>();
  for (const { from, to } of arrows) {
    const [a, b] = [index.get(from)!, index.get(to)!];
    incoming.set(b, [...(incoming.get(b) ?? []), a]);
  }
  sized.forEach((_, i) => {
    for (const from of incoming.get(i) ?? []) if (from < i) layer[i] = Math.max(layer[i]!, layer[from]! + 1);
  });
  const rows = new Map<number, number[]>();
  sized.forEach((_, i) => {
    const row = rows.get(layer[i]!);
    if (row === undefined) rows.set(layer[i]!, [i]);
    else row.push(i);
  });
  const corners = new Array<Point>(sized.length);
  const limit = 2400;
  let [y, width] = [margin, 0];
  for (const key of [...rows.keys()].sort((a, b) => a - b)) {
    let [x, tallest] = [margin, 0];
    for (const i of rows.get(key)!) {
      const one = sized[i]!;
      if (x > margin && x + one.width > limit) [x, y, tallest] = [margin, y + tallest + gap, 0];
      corners[i] = { x, y };
      x += one.width + 22;
      tallest = Math.max(tallest, one.height);
      width = Math.max(width, x);
    }
    y += tallest + 34;
  }
  const paths = arrows.map(({ from, to }) => {
    const [a, b] = [index.get(from)!, index.get(to)!];
    const start = { x: corners[a]!.x + sized[a]!.width / 2, y: corners[a]!.y + sized[a]!.height };
    return [start, { x: corners[b]!.x + sized[b]!.width / 2, y: corners[b]!.y }];
  });
  return { width: width + margin, height: y, corners, paths };
}
