/**
 * Whether some materialised values can be one kernel, and with which loops: either all share one nest, or several
 * nests run one after the other inside common outer axes, each reading of the others only the row it is at. Decided
 * on the templates' index expressions; costs play no part here.
 */
import { type Axis, type Dim, type IndexExpr, indexAxes, isConst, sameIndex, typicalDim } from "@sinter/ir";
import { maxDim } from "./model.ts";
import type { Template } from "./template.ts";

/**
 * `point`: at every point of all axes. `fold`: a reduction's accumulators, its result at the end. `end`: after the
 * reductions, once per par point. `alone`: a nest that takes no other member.
 */
export type Role = "point" | "fold" | "end" | "alone";

export interface Member {
  readonly template: Template;
  readonly role: Role;
}
export interface FormedNest {
  /** Sizes of the par axes after the outer ones, and of the axes behind them. */
  readonly par: readonly Dim[];
  readonly tail: readonly Dim[];
  readonly members: readonly Member[];
}
export interface FormedKernel {
  /** How many leading par axes of every member are the kernel's outer axes. */
  readonly outer: number;
  readonly nests: readonly FormedNest[];
}
export interface Refused {
  readonly refused: string;
}

/** Points of a nest up to which loops without a common outer axis may follow each other in one kernel. */
const smallNest = 4096;
/** Elements of a row (per nest) up to which a row group keeps its values near, and rows that must be left for threads. */
const longestRow = 1 << 16;
const fewRows = 8;
const mostNests = 16;

export function isRefused(found: FormedKernel | Refused): found is Refused {
  return "refused" in found;
}

/** `templates` in order of their ids: producers first. */
export function formKernel(templates: readonly Template[]): FormedKernel | Refused {
  if (templates.some(isOpaque)) return opaqueKernel(templates);
  const group = new Map(templates.map((t) => [t.id, t]));
  const ordered = contractionFirst(templates);
  const flat = formNests(ordered, group, 0);
  if (isRefused(flat) || flat.nests.length === 1) return flat;
  if (templates.some((t) => t.contraction)) return { refused: contractionReason(templates, group) };
  if (flat.nests.some((n) => n.members.some((m) => m.template.kind === "update")))
    return { refused: "an update in place shares its kernel with nothing" };
  const deepest = Math.min(...templates.map((t) => t.par.length));
  let misfit = "the loops have no common outer axis";
  for (let outer = deepest; outer > 0; outer--) {
    const reason = misaligned(templates, group, outer);
    if (reason !== undefined) {
      misfit = reason;
      continue;
    }
    const rows = formNests(ordered, group, outer);
    if (isRefused(rows)) return rows;
    const tooLong = rowReason(rows, templates[0]!, outer);
    return tooLong === undefined ? rows : { refused: tooLong };
  }
  const largest = Math.max(...flat.nests.map(pointsIn));
  if (largest > smallNest) return { refused: misfit };
  return flat.nests.length > mostNests ? { refused: `more than ${mostNests} nests` } : flat;
}

/** Whether loops are not formed here: an op brings its own, or has regions. */
export function isOpaque({ kind }: Template): boolean {
  return kind === "library" || kind === "host" || kind === "control";
}

/** The results of one such op, and nothing else. */
function opaqueKernel(templates: readonly Template[]): FormedKernel | Refused {
  const [first] = templates;
  const apart = templates.some((t) => !isOpaque(t) || t.node !== first!.node);
  if (apart && templates.some((t) => t.kind === "control"))
    return { refused: "a branch or a loop takes whole tensors in memory" };
  if (apart && templates.some((t) => t.kind === "host"))
    return { refused: "a call of the host takes whole tensors in memory" };
  if (apart) return { refused: "a library kernel has loops of its own, over whole tensors in memory" };
  const members = templates.map((template): Member => ({ template, role: "alone" }));
  return { outer: 0, nests: [{ par: [], tail: [], members }] };
}

/** Why the templates have no rows in common. */
export function rowMisfit(templates: readonly Template[]): string {
  const noAxis = "the loops have no common outer axis";
  if (templates.some((t) => t.par.length === 0)) return noAxis;
  return misaligned(templates, new Map(templates.map((t) => [t.id, t])), 1) ?? noAxis;
}

function contractionFirst(templates: readonly Template[]): readonly Template[] {
  const first = templates.filter((t) => t.contraction);
  return first.length === 1 ? [...first, ...templates.filter((t) => !t.contraction)] : templates;
}

function contractionReason(templates: readonly Template[], group: ReadonlyMap<number, Template>): string {
  const products = templates.filter((t) => t.contraction);
  if (products.length > 1) return "two contractions: each keeps its own blocking";
  const product = products[0]!;
  const reader = templates.find((t) => t.reads.some((r) => r.id === product.id && !isIdentity(r.index, t.par)));
  if (reader !== undefined) {
    const read = reader.reads.find((r) => r.id === product.id && !isIdentity(r.index, reader.par));
    const dots = product.par.map((a) => sizeText(a.extent)).join("*");
    return `contraction result read at [${showIndex(read?.index ?? [])}]: would recompute ${dots} dots`;
  }
  if (product.reads.some((r) => group.has(r.id))) return "contraction operand: computed before blocking, not inside it";
  return "a contraction takes only an epilogue over its own result";
}

const sizeText = (size: Dim): string => (typeof size === "number" ? String(size) : size.key);

/** Positions as people read them: axis names without their numbers. */
export function showIndex(index: readonly IndexExpr[]): string {
  return index.map((ix) => ix.key.replace(/\b([a-z]+\d*)\.\d+/g, "$1")).join(", ");
}

export function pointsIn(nest: FormedNest): number {
  return [...nest.par, ...nest.tail].reduce<number>((n, d) => n * typicalDim(d), 1);
}

function rowReason(kernel: FormedKernel, example: Template, outer: number): string | undefined {
  if (kernel.nests.length > mostNests) return `more than ${mostNests} nests`;
  const row = Math.max(...kernel.nests.map(pointsIn));
  const rows = example.par.slice(0, outer).reduce((n, a) => n * typicalDim(a.extent), 1);
  if (row > longestRow && rows < fewRows) return `rows of ${row} elements are too long to keep`;
  return undefined;
}

/** Why the rows of some read differ from the reader's, for the first `outer` axes. */
function misaligned(
  templates: readonly Template[],
  group: ReadonlyMap<number, Template>,
  outer: number,
): string | undefined {
  const example = templates[0]!;
  for (const t of templates) {
    if (t.kind === "update") return "an update in place shares its kernel with nothing";
    const lead = t.par.slice(0, outer);
    if (!lead.every((a, i) => sameIndex(a.extent, example.par[i]!.extent)))
      return "the loops have no common outer axis";
    if (!isIdentity(t.index.slice(0, outer), lead)) return "steps along an axis that the rows would split";
    for (const read of t.reads)
      if (group.has(read.id) && !isIdentity(read.index.slice(0, outer), lead))
        return `rows do not line up: reads [${showIndex(read.index)}]`;
  }
  return undefined;
}

/** Whether positions are exactly these axes, in order. */
export function isIdentity(index: readonly IndexExpr[], axes: Template["par"]): boolean {
  return index.length === axes.length && index.every((ix, i) => isAxis(ix, axes[i]!));
}

/** Whether a position is that of an axis; an axis of one point is always at 0. */
function isAxis(index: IndexExpr, axis: Axis): boolean {
  if (index.constant !== 0) return false;
  if (maxDim(axis.extent) === 1) return index.terms.length === 0;
  const [only, second] = index.terms;
  return only?.coef === 1 && only.atom.kind === "axis" && only.atom.axis.id === axis.id && second === undefined;
}

interface Growing {
  par: readonly Dim[];
  tail: readonly Dim[];
  members: Member[];
}

/** Puts each template into the first nest that can take it, behind everything it reads. */
function formNests(
  templates: readonly Template[],
  group: ReadonlyMap<number, Template>,
  outer: number,
): FormedKernel | Refused {
  const nests: Growing[] = [];
  const home = new Map<number, number>();
  for (const template of templates) {
    const sources = template.reads.filter((r) => group.has(r.id)).map((r) => home.get(r.id));
    if (sources.includes(undefined)) return { refused: "contraction operand: computed before blocking, not inside it" };
    const earliest = Math.max(0, ...sources.map((n) => n!));
    let placed: number | undefined;
    for (let n = earliest; n < nests.length && placed === undefined; n++)
      if (join(nests[n]!, template, outer)) placed = n;
    if (placed === undefined) {
      nests.push(start(template, outer));
      placed = nests.length - 1;
    }
    home.set(template.id, placed);
  }
  return { outer, nests };
}

function start(template: Template, outer: number): Growing {
  const role = template.kind === "map" ? "point" : template.kind === "reduce" ? "fold" : "alone";
  const par = template.par.slice(outer).map((a) => a.extent);
  return { par, tail: template.tail.map((a) => a.extent), members: [{ template, role }] };
}

const sameSizes = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((d, i) => sameIndex(d, b[i]!));

/** Adds the template to the nest where that is right; the nest may turn from points into a fold. */
function join(nest: Growing, template: Template, outer: number): boolean {
  if (nest.members[0]!.role === "alone") return false;
  const par = template.par.slice(outer).map((a) => a.extent);
  const tail = template.tail.map((a) => a.extent);
  const folds = nest.members.some((m) => m.role === "fold");
  const product = nest.members.some((m) => m.template.contraction);
  if (template.kind === "map") {
    const all = folds ? [...nest.par, ...nest.tail] : nest.par;
    if (!product && sameSizes(par, all) && accepts(nest, template, "point")) {
      if (!nest.members.some((m) => foldsColumns(m.template))) return add(nest, template, "point");
    }
    if (folds && sameSizes(par, nest.par) && accepts(nest, template, "end")) return add(nest, template, "end");
    return false;
  }
  if (template.kind !== "reduce" || template.contraction || product) return false;
  if (folds)
    return (
      sameSizes(par, nest.par) &&
      sameSizes(tail, nest.tail) &&
      accepts(nest, template, "fold") &&
      add(nest, template, "fold")
    );
  // A nest of points takes a fold over its last axes (points stay points), or over further axes (points move to the end).
  if (sameSizes([...par, ...tail], nest.par) && accepts(nest, template, "fold") && !foldsColumns(template)) {
    nest.par = par;
    nest.tail = tail;
    return add(nest, template, "fold");
  }
  if (sameSizes(par, nest.par) && !nest.members.some((m) => template.reads.some((r) => r.id === m.template.id))) {
    nest.tail = tail;
    nest.members = nest.members.map((m) => ({ template: m.template, role: "end" }));
    return add(nest, template, "fold");
  }
  return false;
}

/** A fold that reads memory along its result's axes: points stored along the folded axis would run across it. */
function foldsColumns(template: Template): boolean {
  const last = template.tail.findLast((a) => a.extent !== 1);
  if (template.kind !== "reduce" || last === undefined) return false;
  return template.reads.some(({ index, atEnd }) => {
    const minor = index.findLast((ix) => !isConst(ix));
    const moved = new Set(index.flatMap((ix) => [...indexAxes(ix)]));
    return !atEnd && minor !== undefined && moved.has(last.id) && !indexAxes(minor).has(last.id);
  });
}

function add(nest: Growing, template: Template, role: Role): boolean {
  nest.members.push({ template, role });
  return true;
}

/** Whether everything that the template reads of the nest's members is known at the point where it needs it. */
function accepts(nest: Growing, template: Template, role: Role): boolean {
  for (const read of template.reads) {
    const source = nest.members.find((m) => m.template.id === read.id);
    if (source === undefined) continue;
    if (!isIdentity(source.template.index, source.template.par)) return false;
    const atEnd = role === "end" || read.atEnd;
    if (atEnd !== (source.role === "fold" || source.role === "end")) return false;
    const axes = role === "fold" && !atEnd ? [...template.par, ...template.tail] : template.par;
    if (!isIdentity(read.index, axes)) return false;
  }
  return true;
}
