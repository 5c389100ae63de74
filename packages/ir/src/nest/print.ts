/**
 * Nest programs as text: buffers, steps, nests with named axes, and why things were fused or not. Axes are named by
 * where they stand and shared values by order of use, so that the text does not depend on how the program was made.
 */
import { hostCallText } from "../host-call.ts";
import type { NodePath } from "../node-path.ts";
import { isScalarOp, scalarOps } from "../scalar-ops.ts";
import type { Atom, Axis, BufferId, Dim, IndexExpr, Range, ScalarExpr } from "./expr.ts";
import type { BufferDecl, Nest, NestProgram, NestStep, Store } from "./nest.ts";
import { openLoops, scalarChildren, visitScalar } from "./scalar-expr.ts";

export interface PrintNestOptions {
  /** Leave the fusion notes out. */
  readonly notes?: boolean;
  /** What is said behind the head of a kernel: where it was written. */
  readonly where?: Where;
}
type Where = (nodes: readonly NodePath[]) => string;
type KernelStep = Extract<NestStep, { kind: "kernel" }>;

export function printNests(program: NestProgram, options: PrintNestOptions = {}): string {
  const lines = [`nests ${program.name}`];
  for (const buffer of program.buffers) lines.push(`  ${bufferText(buffer)}`);
  stepLines(program.steps, "  ", lines, (step) => kernelLines(step, options.where));
  if (options.notes !== false)
    for (const { fused, producer, consumer, reason } of program.notes)
      lines.push(`  note ${fused ? "fused" : "kept"} ${producer} -> ${consumer}: ${reason}`);
  return `${lines.join("\n")}\n`;
}

/** One kernel as it stands in a program. */
export function printNestKernel(step: KernelStep, where?: Where): string {
  return `${kernelLines(step, where).join("\n")}\n`;
}

/** The control tree of a program, with the lines of `kernel` for each of its kernels. */
export function printNestSteps(steps: readonly NestStep[], kernel: (step: KernelStep) => readonly string[]): string {
  const lines: string[] = [];
  stepLines(steps, "", lines, kernel);
  return lines.map((line) => `${line}\n`).join("");
}

function bufferText(b: BufferDecl): string {
  const shape = b.shape.map((d) => (typeof d === "number" ? String(d) : d.key)).join(",");
  const replaces = b.replaces === undefined ? "" : ` replaces b${b.replaces}`;
  const data = b.data === undefined ? "" : ` = [${Array.from(b.data, numberText).join(", ")}]`;
  const slice =
    b.slice === undefined ? "" : ` = b${b.slice.of}[${b.slice.reverse ? "last - " : ""}b${b.slice.counter}]`;
  return `b${b.id} ${b.kind} ${b.name}: ${b.dtype}[${shape}]${replaces}${data}${slice}`;
}

function numberText(x: number): string {
  return Object.is(x, -0) ? "-0" : String(x);
}

function stepLines(
  steps: readonly NestStep[],
  indent: string,
  lines: string[],
  kernel: (step: KernelStep) => readonly string[],
): void {
  const inside = (list: readonly NestStep[]): void => stepLines(list, `${indent}  `, lines, kernel);
  for (const step of steps) {
    switch (step.kind) {
      case "kernel":
        for (const line of kernel(step)) lines.push(indent + line);
        break;
      case "host": {
        const names = (ids: readonly BufferId[]): string => ids.map((id) => `b${id}`).join(", ");
        lines.push(`${indent}${hostCallText(step.call)} (${names(step.operands)}) to (${names(step.results)})`);
        break;
      }
      case "copy":
        lines.push(`${indent}copy b${step.from} to b${step.to}`);
        break;
      case "swap":
        lines.push(`${indent}swap b${step.a} with b${step.b}`);
        break;
      case "if":
        for (const [i, branch] of step.branches.entries()) {
          lines.push(`${indent}if b${step.index} is ${i}`);
          inside(branch);
        }
        break;
      case "for":
        lines.push(`${indent}for b${step.counter} below ${dimText(step.count)}`);
        inside(step.body);
        break;
      case "while":
        lines.push(`${indent}while b${step.predicate}`);
        inside(step.test);
        lines.push(`${indent}do`);
        inside(step.body);
        break;
      default:
        step satisfies never;
    }
  }
}

const dimText = (d: Dim): string => (typeof d === "number" ? String(d) : d.key);

function kernelLines({ kernel, nodes }: KernelStep, where: Where | undefined): string[] {
  const places = where?.(nodes) ?? "";
  const comment = places === "" ? "" : `  // ${places}`;
  if (kernel.kind === "library") {
    const names = (list: readonly BufferId[]): string => list.map((b) => `b${b}`).join(", ");
    return [`library ${kernel.name}(${names(kernel.args)}) writes ${names(kernel.writes)}${comment}`];
  }
  const names = new Map<number, string>();
  const outer = kernel.outer.map((a, i) => axisText(a, names, i));
  const lines = [`kernel ${kernel.name}${outer.length > 0 ? ` rows ${outer.join(" ")}` : ""}${comment}`];
  for (const nest of kernel.nests) nestLines(nest, new Map(names), "  ", lines);
  return lines;
}

const parNames = ["i", "j", "k", "l", "m", "n"];
const tailNames = ["r", "s", "t", "u"];

/** Names the axis by its place and gives `name<size>`. */
function axisText(axis: Axis, names: Map<number, string>, place: number): string {
  const from = axis.kind === "par" ? parNames : tailNames;
  const name = from[place] ?? `${from[0]}${place}`;
  names.set(axis.id, name);
  return `${name}<${dimText(axis.extent)}`;
}

function nestLines(nest: Nest, names: Map<number, string>, indent: string, lines: string[]): void {
  let [par, tail] = [names.size, 0];
  const kinds = new Map<string, string[]>();
  for (const axis of nest.axes) {
    const text = axisText(axis, names, axis.kind === "par" ? par++ : tail++);
    kinds.set(axis.kind, [...(kinds.get(axis.kind) ?? []), text]);
  }
  const heads = [...kinds].map(([kind, list]) => `${kind} ${list.join(" ")}`);
  lines.push(`${indent}nest${heads.length > 0 ? ` ${heads.join(" ")}` : ""}`);
  const printer = new ValuePrinter(nest, names, `${indent}  `, lines);
  nest.carries.forEach((c, i) => {
    lines.push(`${indent}  carry${i}: ${c.dtype} = ${printer.value(c.init)}`);
  });
  nest.accumulators.forEach((a, i) => {
    const values = a.values.map((v) => printer.value(v));
    lines.push(`${indent}  acc${i}: ${a.dtype} = ${a.combine} ${values.join(" at ")}`);
  });
  for (const when of ["body", "end"] as const)
    for (const store of nest.stores) if (store.when === when) lines.push(`${indent}  ${printer.store(store)}`);
  nest.carries.forEach((c, i) => {
    lines.push(`${indent}  carry${i} <- ${printer.value(c.next)}`);
  });
}

class ValuePrinter {
  private readonly names: ReadonlyMap<number, string>;
  private readonly lines: string[];
  private readonly indent: string;
  private readonly shared = new Set<ScalarExpr>();
  private readonly texts = new Map<ScalarExpr, string>();
  /** Names of loops inside the payload: by group, and by number for the one being printed. */
  private readonly loops = new Map<string, string>();
  private readonly loopNames = new Map<number, string>();
  private count = 0;

  constructor(nest: Nest, names: ReadonlyMap<number, string>, indent: string, lines: string[]) {
    this.names = names;
    this.lines = lines;
    this.indent = indent;
    const roots = [
      ...nest.accumulators.flatMap((a) => a.values),
      ...nest.stores.map((s) => s.value),
      ...nest.carries.flatMap((c) => [c.init, c.next]),
    ];
    const uses = new Map<ScalarExpr, number>();
    const count = (e: ScalarExpr): void => {
      uses.set(e, (uses.get(e) ?? 0) + 1);
    };
    roots.forEach(count);
    const seen = new Set<ScalarExpr>();
    const loops = new Set<string>();
    const countBelow = (e: ScalarExpr): void => {
      if (e.kind === "loop" && loops.has(e.group)) return;
      if (e.kind === "loop") loops.add(e.group);
      scalarChildren(e).forEach(count);
    };
    for (const root of roots) visitScalar(root, countBelow, seen);
    for (const [e, n] of uses) if (n > 1 && (e.kind === "op" || e.kind === "guard")) this.shared.add(e);
  }

  store(s: Store): string {
    const guard = this.guard(s.guard ?? []);
    const value = this.value(s.value);
    const how = s.combine === undefined ? "=" : `${s.combine}=`;
    return `${s.when === "end" ? "end " : ""}b${s.buffer}[${this.indices(s.index)}] ${how} ${value}${guard}`;
  }

  value(e: ScalarExpr): string {
    let text = this.texts.get(e);
    if (text === undefined) {
      text = this.make(e);
      if (this.shared.has(e)) {
        const name = `t${this.count++}`;
        this.lines.push(`${this.indent}${name} = ${text}`);
        text = name;
      }
      this.texts.set(e, text);
    }
    return text;
  }

  private make(e: ScalarExpr): string {
    switch (e.kind) {
      case "const":
        return e.dtype === "f32" ? numberText(e.value) : `${numberText(e.value)}:${e.dtype}`;
      case "index":
        return `index(${this.index(e.index)})`;
      case "read": {
        const guard = this.guard(e.guard);
        return `b${e.buffer}[${this.indices(e.index)}]${guard}${guard === "" ? "" : ` else ${numberText(e.fill)}`}`;
      }
      case "guard":
        return `(${this.value(e.value)}${this.guard(e.guard)} else ${this.value(e.otherwise)})`;
      case "acc":
        return e.component === 0 ? `acc${e.accumulator}` : `acc${e.accumulator}.${e.component}`;
      case "carry":
        return `carry${e.carry}`;
      case "loopVar":
        return `${this.loopNames.get(e.loopId) ?? "loop"}.${e.slot}`;
      case "loop":
        return `${this.loop(e)}.${e.result}`;
      case "op": {
        const args = e.args.map((a) => this.value(a));
        if (isScalarOp(e.op) && scalarOps[e.op].commutative) args.sort();
        return `${e.op === "cast" || e.op === "bitcast" ? `${e.op}.${e.dtype}` : e.op}(${args.join(", ")})`;
      }
      default:
        return e satisfies never;
    }
  }

  /** Prints a loop on a line of its own, once for all its results, and gives its name. */
  private loop(e: ScalarExpr & { readonly kind: "loop" }): string {
    const known = this.loops.get(e.group);
    if (known !== undefined) return known;
    const list = (parts: readonly ScalarExpr[]): string => parts.map((p) => this.value(p)).join(", ");
    const name = `loop${this.loops.size}`;
    this.loops.set(e.group, name);
    const init = list(e.init);
    this.loopNames.set(e.loopId, name);
    const limit = e.limit === Infinity ? "" : ` at most ${e.limit} times`;
    const [test, next] = [this.value(e.test), list(e.next)];
    this.lines.push(`${this.indent}${name} = from (${init}) while ${test}${limit} do (${next})`);
    this.loopNames.delete(e.loopId);
    for (const value of this.texts.keys()) if (openLoops(value).includes(e.loopId)) this.texts.delete(value);
    return name;
  }

  private guard(ranges: readonly Range[]): string {
    const parts = ranges.map((r) => `${dimText(r.lo)}<=${this.index(r.index)}<${dimText(r.hi)}`);
    return parts.length === 0 ? "" : ` if ${parts.join(" & ")}`;
  }

  private indices(list: readonly IndexExpr[]): string {
    return list.map((ix) => this.index(ix)).join(", ");
  }

  private index(ix: IndexExpr): string {
    const parts = ix.terms
      .map(({ coef, atom }) => (coef === 1 ? this.atom(atom) : `${coef}*${this.atom(atom)}`))
      .sort();
    if (ix.constant !== 0 || parts.length === 0) parts.push(String(ix.constant));
    return parts.join("+").replaceAll("+-", "-");
  }

  private atom(atom: Atom): string {
    switch (atom.kind) {
      case "axis":
        return this.names.get(atom.axis.id) ?? atom.key;
      case "sym":
        return atom.sym.name;
      case "div":
        return `(${this.index(atom.value)} div ${this.index(atom.by)})`;
      case "mod":
        return `(${this.index(atom.value)} mod ${this.index(atom.by)})`;
      case "mul":
        return `(${this.index(atom.factors[0])})*(${this.index(atom.factors[1])})`;
      case "min":
      case "max":
        return `${atom.kind}(${this.index(atom.args[0])}, ${this.index(atom.args[1])})`;
      case "dyn":
        return `at(${this.value(atom.value)} in ${atom.lo}..${atom.hi})`;
      default:
        return atom satisfies never;
    }
  }
}
