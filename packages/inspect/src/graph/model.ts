/**
 * What the drawings of a program show, before it has places: boxes and arrows between them. A box of a branch or a loop
 * has the drawings of its blocks inside.
 */
import type { Inspection, KernelPicture, StepPicture } from "@sinter/runtime";
import { bytes, flops, plural } from "../page/format.ts";

export interface Box {
  readonly id: string;
  readonly kind: "operation" | "constant" | "kernel" | "param" | "result" | "control";
  readonly title: string;
  readonly subtitle: string;
  /** The kernel that it has its colour from. */
  readonly kernel: number | undefined;
  /** Node of the graph that it stands for. */
  readonly node: string | undefined;
  readonly blocks: readonly Drawing[];
}

export interface Arrow {
  readonly from: string;
  readonly to: string;
}

export interface Drawing {
  readonly label: string;
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

type Node = Inspection["nodes"][number];

/** `7.0` for `7.0.3`, which is in region 0 of node 7; empty for a node of the program itself. */
export function parentOf(path: string): string {
  const at = path.lastIndexOf(".");
  return at < 0 ? "" : path.slice(0, at);
}

/** The node that makes a value: `7` for `7#1`, its second result. */
export function makerOf(value: string): string {
  return value.replace(/#\d+$/, "");
}

/** A box for each operation of the graph that was lowered. */
export function operations(inspection: Inspection): Drawing {
  const byLevel = new Map<string, Node[]>();
  for (const node of inspection.nodes) {
    const parent = parentOf(node.path);
    const list = byLevel.get(parent);
    if (list === undefined) byLevel.set(parent, [node]);
    else list.push(node);
  }
  const types = new Map(inspection.params.map((p) => [`param ${p.name}`, `${kindWord(p.kind)}${p.type}`]));
  const constants = new Map(inspection.nodes.filter((node) => node.op === "const").map((node) => [node.path, node]));
  const draw = (parent: string, label: string): Drawing => {
    const leaves = new Map<string, Box>();
    const arrows: Arrow[] = [];
    /**
     * The box that a value comes from. Parameters and constants have one beside each of their users: what goes in
     * everywhere would otherwise be an arrow across the whole drawing each time.
     */
    const source = (value: string, user: string): string => {
      const constant = constants.get(makerOf(value));
      if (constant === undefined && !value.startsWith("param ")) return makerOf(value);
      const id = `${constant?.path ?? `${parent}|${value}`} for ${user}`;
      if (constant !== undefined) leaves.set(id, constantBox(id, constant));
      else {
        const subtitle = parent === "" ? (types.get(value) ?? "") : "";
        leaves.set(id, plain(id, "param", value.slice("param ".length), subtitle));
      }
      return id;
    };
    const boxes = (byLevel.get(parent) ?? []).flatMap((node): Box[] => {
      if (constants.has(node.path)) return [];
      for (const value of new Set(node.operands)) arrows.push({ from: source(value, node.path), to: node.path });
      const regions = [...byLevel.keys()].filter((key) => parentOf(key) === node.path && key !== "").sort(byNumber);
      const box: Box = {
        id: node.path,
        kind: "operation",
        title: node.op,
        subtitle: node.type,
        kernel: node.kernels[0],
        node: node.path,
        blocks: regions.map((region) => draw(region, blockName(node.op, Number(region.slice(node.path.length + 1))))),
      };
      return [box];
    });
    const ends = parent === "" ? resultsOf(inspection) : [];
    for (const { box, value } of ends) arrows.push({ from: source(value, box.id), to: box.id });
    return { label, boxes: [...leaves.values(), ...boxes, ...ends.map((end) => end.box)], arrows };
  };
  return draw("", "");
}

function blockName(op: string, region: number): string {
  if (op === "while") return region === 0 ? "test" : "each round";
  if (op === "scan") return "each round";
  return op === "cond" ? `branch ${region}` : `block ${region}`;
}

function resultsOf(inspection: Inspection): { readonly box: Box; readonly value: string }[] {
  return inspection.results.map(({ kind, value, type }, i) => ({
    box: plain(`result ${i}`, "result", kind === "out" ? "result" : kind, type),
    value,
  }));
}

/** With its value where that is short. */
function constantBox(id: string, node: Node): Box {
  const value = /data=\[([^\]]{1,14})\]/.exec(node.text)?.[1] ?? "const";
  return { ...plain(id, "constant", value, node.type), node: node.path };
}

function plain(id: string, kind: Box["kind"], title: string, subtitle: string): Box {
  return { id, kind, title, subtitle, kernel: undefined, node: undefined, blocks: [] };
}

function kindWord(kind: string): string {
  return kind === "arg" ? "" : `${kind} `;
}

function byNumber(a: string, b: string): number {
  return Number(a.slice(a.lastIndexOf(".") + 1)) - Number(b.slice(b.lastIndexOf(".") + 1));
}

/** A box for each step of the program: its kernels, and what decides which of them run. Arrows are buffers in memory. */
export function kernels(inspection: Inspection): Drawing {
  const { buffers } = inspection;
  const reads = (kernel: KernelPicture): readonly number[] =>
    kernel.buffers.filter((use) => !use.writes).map((use) => use.buffer);
  const writes = (kernel: KernelPicture): readonly number[] =>
    kernel.buffers.filter((use) => use.writes).map((use) => use.buffer);

  /** Draws one list of steps; `touched` collects what it reads of outside and what it writes. */
  const draw = (steps: readonly StepPicture[], label: string, outer: boolean): Drawn => {
    const boxes: Box[] = [];
    const arrows = new Map<string, Arrow>();
    const writer = new Map<number, string>();
    const [outsideReads, allWrites] = [new Set<number>(), new Set<number>()];
    const ends: Box[] = [];
    const connect = (from: string, to: string): void => {
      if (from !== to) arrows.set(`${from} ${to}`, { from, to });
    };
    const use = (box: Box, read: Iterable<number>, written: Iterable<number>): void => {
      for (const id of read) {
        const maker = writer.get(id);
        if (maker !== undefined) connect(maker, box.id);
        else {
          outsideReads.add(id);
          if (outer && buffers[id]?.place === "arg") connect(param(id), box.id);
        }
      }
      boxes.push(box);
      for (const id of written) {
        // A buffer that several steps write in part: the later ones follow the earlier.
        const before = writer.get(id);
        if (before !== undefined) connect(before, box.id);
        writer.set(id, box.id);
        allWrites.add(id);
      }
    };
    const param = (id: number): string => {
      const key = `buffer ${id}`;
      const { name, dtype, shape } = buffers[id]!;
      if (!boxes.some((box) => box.id === key)) boxes.unshift(plain(key, "param", name, typeText(dtype, shape)));
      return key;
    };
    for (const step of steps) {
      const id = `step ${step.number}`;
      switch (step.kind) {
        case "kernel": {
          const kernel = inspection.kernels[step.kernel]!;
          use(kernelBox(id, kernel, inspection), reads(kernel), writes(kernel));
          break;
        }
        case "copy":
          use(plain(id, "control", "copy", bytes(buffers[step.from]?.bytes ?? 0)), [step.from], [step.to]);
          break;
        case "host":
          use(plain(id, "control", "call outside", step.text), step.operands, step.results);
          break;
        case "swap": {
          const [a, b] = [writer.get(step.a), writer.get(step.b)];
          if (b !== undefined) writer.set(step.a, b);
          if (a !== undefined) writer.set(step.b, a);
          break;
        }
        default: {
          const blocks = blocksOf(step).map(([name, body]) => draw(body, name, false));
          const [title, subtitle] = controlText(step);
          const read = new Set([...blocks.flatMap((block) => [...block.reads]), ...decidedBy(step)]);
          const written = new Set(blocks.flatMap((block) => [...block.writes]));
          const filled = blocks.map((block) => block.drawing).filter((drawing) => drawing.boxes.length > 0);
          use({ ...plain(id, "control", title, subtitle), blocks: filled }, read, written);
        }
      }
    }
    if (outer)
      for (const buffer of buffers) {
        const from = buffer.place === "result" ? writer.get(buffer.id) : undefined;
        if (from === undefined) continue;
        ends.push(plain(`buffer ${buffer.id}`, "result", "result", typeText(buffer.dtype, buffer.shape)));
        connect(from, `buffer ${buffer.id}`);
      }
    const drawing = { label, boxes: [...boxes, ...ends], arrows: [...arrows.values()] };
    return { drawing, reads: outsideReads, writes: allWrites };
  };
  return draw(inspection.steps, "", true).drawing;
}

interface Drawn {
  readonly drawing: Drawing;
  readonly reads: ReadonlySet<number>;
  readonly writes: ReadonlySet<number>;
}

function kernelBox(id: string, kernel: KernelPicture, { buffers }: Inspection): Box {
  const states = kernel.buffers.flatMap(({ buffer, writes }) => {
    const { place, name } = buffers[buffer]!;
    return writes && place === "stateOut" ? [name.replace(/_next$/, "")] : [];
  });
  const moved = bytes(kernel.bytesRead + kernel.bytesWritten);
  const updates = states.length === 0 ? "" : ` · updates ${states.join(", ")}`;
  return {
    id,
    kind: "kernel",
    title: `${kernel.index} ${operationsIn(kernel)}`,
    subtitle: `${flops(kernel.flops)} · ${moved}${updates}`,
    kernel: kernel.index,
    node: undefined,
    blocks: [],
  };
}

/** What a kernel holds, from its name: `k3_dot_relu` is `dot relu`, and so is `k1.0.3_dot_relu`, in a block. */
export function operationsIn(kernel: { readonly name: string }): string {
  return kernel.name.replace(/^k[\d.]+_/, "").replaceAll("_", " ");
}

type Control = Exclude<StepPicture, { readonly kind: "kernel" | "host" | "copy" | "swap" }>;

function blocksOf(step: Control): [string, readonly StepPicture[]][] {
  switch (step.kind) {
    case "if":
      return step.branches.map((branch, i) => [`branch ${i}`, branch]);
    case "for":
      return [["each round", step.body]];
    default:
      return [
        ["test", step.test],
        ["each round", step.body],
      ];
  }
}

function controlText(step: Control): [string, string] {
  if (step.kind === "if") return ["if", plural(step.branches.length, "branch").replace("branchs", "branches")];
  if (step.kind === "for") return ["for", plural(step.count, "round")];
  return ["while", "as long as its test holds"];
}

function decidedBy(step: Control): readonly number[] {
  return step.kind === "if" ? [step.index] : step.kind === "while" ? [step.predicate] : [];
}

function typeText(dtype: string, shape: string): string {
  return shape.startsWith("[") ? `${dtype}${shape}` : `${dtype}[${shape}]`;
}
