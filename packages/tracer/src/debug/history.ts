/** The traces of one function: why each was made, what it cost, and what would have made it unnecessary. */
import type { Backend } from "@sinter/runtime";
import { kindOfStatic, type Tree, treeText, withoutObjects } from "../trees.ts";

/** How a trace has been used since; kept when the trace itself is let go. */
export interface Usage {
  calls: number;
  /** Of its program and captured tensors. */
  readonly bytes: number;
  /** They were let go. */
  gone: boolean;
}

export interface TraceRecord {
  readonly signature: string;
  /** Without the objects that were passed: a record keeps none of them alive. */
  readonly tree: Tree;
  readonly backend: Backend;
  readonly where: string | undefined;
  readonly milliseconds: number;
  readonly usage: Usage;
}

/** One argument, or part of one, that is not as it was. */
interface Difference {
  /** `argument options.rate` */
  readonly what: string;
  readonly was: string;
  readonly is: string;
  /** What to do about it, in one sentence. */
  readonly advice: string;
  /** How far apart the two are: of one kind, nearly, or not at all. */
  readonly distance: number;
}

/** Calls with another number of arguments are farther apart than any two with the same. */
const distances = { kind: 1, parts: 1.25, other: 2, count: 1000 } as const;

/** Traces that one function remembers. */
const recordLimit = 256;
/** Differences that are listed. */
const listed = 3;

export class TraceHistory {
  private readonly name: string;
  private readonly names: readonly string[];
  /** The latest of them. */
  private readonly records: TraceRecord[] = [];
  traces = 0;
  /** By the name of a function being traced: how often it was called there. */
  private readonly inside = new Map<string, number>();

  /** `names`: those of the function's parameters. */
  constructor(name: string, names: readonly string[]) {
    this.name = name;
    this.names = names;
  }

  add(tree: Tree, of: Omit<TraceRecord, "tree">): void {
    this.records.push({ ...of, tree: withoutObjects(tree) });
    if (this.records.length > recordLimit) this.records.shift();
    this.traces++;
  }

  /** The function became part of a trace of another one. */
  addInside(name: string): void {
    this.inside.set(name, (this.inside.get(name) ?? 0) + 1);
  }

  /** `differs from trace 2: argument rate was 0.1, is 0.2`, and what to do, for the last trace. */
  last(): { readonly why: string; readonly advice: string } {
    const index = this.records.length - 1;
    const { nearest, found } = this.nearest(this.records[index]!, index);
    return { why: `differs from trace ${nearest}: ${differencesText(found)}`, advice: adviceText(found) };
  }

  /** As `last`, for a signature that has not been traced. */
  wouldBe(tree: Tree, backend: Backend): { readonly nearest: number; readonly text: string } {
    const { nearest, found } = this.nearest({ tree, backend }, this.records.length);
    return { nearest, text: differencesText(found) };
  }

  explain(): string {
    const { records, traces } = this;
    const forgotten = traces - records.length;
    const spent = records.reduce((n, record) => n + record.milliseconds, 0);
    const bytes = records.reduce((n, record) => n + (record.usage.gone ? 0 : record.usage.bytes), 0);
    const sum = traces === 0 ? "" : `, ${spent.toFixed(1)} ms, ${sizeText(bytes)} held`;
    const head = `${this.name}: ${traces} ${traces === 1 ? "trace" : "traces"}${forgotten > 0 ? `, of which the last ${records.length}` : ""}${sum}`;
    const callers = [...this.inside].map(([name, times]) => `${name} (${times} ${times === 1 ? "time" : "times"})`);
    const inside =
      callers.length === 0 ? [] : [`  called while others were traced, as part of them: ${callers.join(", ")}`];
    return [head, ...inside, ...records.map((record, i) => this.recordText(record, i, forgotten))].join("\n");
  }

  private recordText(record: TraceRecord, index: number, forgotten: number): string {
    const { usage, milliseconds, where, signature } = record;
    const held = usage.gone ? "let go" : sizeText(usage.bytes);
    const calls = `${usage.calls} ${usage.calls === 1 ? "call" : "calls"}`;
    const lines = [`${forgotten + index + 1}. ${signature}  (${milliseconds.toFixed(1)} ms, ${calls}, ${held})`];
    if (index === 0) lines.push(forgotten > 0 ? "those before are forgotten" : "first call");
    else {
      const { nearest, found } = this.nearest(record, index);
      lines.push(`differs from trace ${nearest}: ${differencesText(found)}`, `-> ${adviceText(found)}`);
    }
    if (where !== undefined) lines.push(`called at ${where}`);
    return lines.map((line, i) => (i === 0 ? `  ${line}` : `     ${line}`)).join("\n");
  }

  /** The number of the earlier trace with fewest differences, and what they are. */
  private nearest(
    of: Pick<TraceRecord, "tree" | "backend">,
    before: number,
  ): { readonly nearest: number; readonly found: readonly Difference[] } {
    let best: { nearest: number; found: readonly Difference[]; distance: number } | undefined;
    const number = this.traces - this.records.length + 1;
    this.records.slice(0, before).forEach((record, i) => {
      const found: Difference[] = [];
      if (record.backend !== of.backend)
        found.push({
          what: "the backend",
          was: record.backend,
          is: of.backend,
          advice: "each backend has programs of its own: choose one by setBackend before the first call",
          distance: distances.kind,
        });
      compareTrees(record.tree, of.tree, this.names, found);
      const distance = found.reduce((n, difference) => n + difference.distance, 0);
      if (best === undefined || distance < best.distance) best = { nearest: number + i, found, distance };
    });
    return best ?? { nearest: 1, found: [] };
  }
}

function compareTrees(before: Tree, now: Tree, names: readonly string[], out: Difference[]): void {
  const [a, b] = [itemsOf(before), itemsOf(now)];
  if (a.length !== b.length) {
    const given = (n: number): string => `${n} ${n === 1 ? "argument" : "arguments"}`;
    out.push({
      what: "the call",
      was: `with ${given(a.length)}`,
      is: `with ${given(b.length)}`,
      advice: "always pass the same arguments: one that is left out is another signature than its default",
      distance: distances.count,
    });
  }
  a.slice(0, b.length).forEach((item, i) => {
    compare(item, b[i]!, `argument ${names[i] ?? i}`, out);
  });
}

const itemsOf = (tree: Tree): readonly Tree[] => (tree.kind === "array" ? tree.items : []);

function compare(a: Tree, b: Tree, what: string, out: Difference[]): void {
  if (a.kind === "array" && b.kind === "array" && a.items.length === b.items.length) {
    a.items.forEach((item, i) => {
      compare(item, b.items[i]!, `${what}[${i}]`, out);
    });
    return;
  }
  if (a.kind === "object" && b.kind === "object") {
    a.keys.forEach((key, i) => {
      const at = b.keys.indexOf(key);
      if (at >= 0) compare(a.items[i]!, b.items[at]!, `${what}.${key}`, out);
    });
    if (a.keys.join() === b.keys.join()) return;
    const keys = (of: readonly string[]): string =>
      of.length === 0 ? "without keys" : `with the keys ${of.join(", ")}`;
    const advice = "objects with other keys are another signature: always pass the same keys";
    out.push({ what, was: keys(a.keys), is: keys(b.keys), advice, distance: distances.parts });
    return;
  }
  const [was, is] = [treeText(a), treeText(b)];
  if (was !== is) out.push({ what, was, is, ...adviceFor(a, b, is) });
}

function adviceFor(a: Tree, b: Tree, is: string): Pick<Difference, "advice" | "distance"> {
  if (a.kind === "tensor" && b.kind === "tensor") return { advice: tensorAdvice(a, b), distance: distances.kind };
  if (a.kind === "array" && b.kind === "array")
    return {
      advice: "each length is another signature: stack the items into one tensor, or pad to one length",
      distance: distances.parts,
    };
  if (b.kind === "static" && a.kind === "static" && kindOfStatic(a.value) === kindOfStatic(b.value))
    return { advice: staticAdvice(b.value, is), distance: distances.kind };
  const number = [a, b].find((tree) => tree.kind === "static" && kindOfStatic(tree.value) === "number");
  if (number !== undefined && [a, b].some((tree) => tree.kind === "tensor"))
    return {
      advice: `a number is another signature than a tensor: always pass tensor(${treeText(number)})`,
      distance: distances.parts,
    };
  return { advice: "always pass the same kind of value there", distance: distances.other };
}

type TensorTree = Extract<Tree, { kind: "tensor" }>;

function tensorAdvice(a: TensorTree, b: TensorTree): string {
  if (a.dtype !== b.dtype)
    return `convert it before the call: x.cast("${a.dtype}"), or say the type where it is made: tensor(data, { dtype: "${a.dtype}" })`;
  if (a.shape.length !== b.shape.length)
    return "each number of axes is another signature: reshape or expandDims before the call";
  return "each shape is compiled for itself: pad or batch to few shapes, and drop or pad the last batch that is smaller";
}

function staticAdvice(is: unknown, text: string): string {
  const kind = kindOfStatic(is);
  switch (kind) {
    case "number":
      return `a number is part of the program: pass tensor(${text}) where it changes often`;
    case "boolean":
    case "string":
      return `each ${kind} is a program of its own, which is meant for a few modes; what varies freely belongs in tensors`;
    case "function":
      return "a function that is made anew in each call is another one: make it once, outside";
    case "variable":
      return "each variable is a program of its own: use one variable and assign to it, or pass its value";
    case "nothing":
      return "null and undefined are two signatures: always pass the same one";
    default:
      return "an object of a class is known by identity: make it once, outside, or pass its tensors in a plain object";
  }
}

function differencesText(found: readonly Difference[]): string {
  const texts = found.map(({ what, was, is }) => `${what} was ${was}, is ${is}`);
  if (texts.length === 0) return "nothing that can be seen: the earlier trace had been let go";
  const more = texts.length - listed;
  return texts.slice(0, listed).join("; ") + (more > 0 ? `; and ${more} more` : "");
}

/** Each advice once. */
function adviceText(found: readonly Difference[]): string {
  const advice = [...new Set(found.slice(0, listed).map((difference) => difference.advice))];
  return advice.length === 0
    ? "programs beyond 256 MiB for one function are let go: use fewer signatures"
    : advice.join("; ");
}

function sizeText(bytes: number): string {
  if (bytes >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
