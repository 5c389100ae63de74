/**
 * The one way to make a graph. Each emitted node gets its types from the op's type rule, constants fold, the op's fold
 * rules apply, and a pure node equal to one that exists becomes that one; so folding and CSE hold after every pass
 * without being passes. Holds no rule of any op.
 */
import type { Emitter, HostTensor, OpDef } from "./define-op.ts";
import { allocate, type DType, isFloat, roundTo, type TypedArray } from "./dtype.ts";
import type {
  Attrs,
  Graph,
  GraphResult,
  Loc,
  Node,
  OperandGroup,
  Param,
  ParamKind,
  TensorType,
  Value,
  ValueType,
} from "./graph.ts";
import type { Dim, Sym } from "./nest/expr.ts";
import { isConst, visitAtoms } from "./nest/index-algebra.ts";
import { getOp } from "./ops/index.ts";
import { graphText } from "./print.ts";
import { isScalarOp, scalarOp } from "./scalar-ops.ts";
import { attrsText, canonicalizeNaNs, dataHash, inlineElements, sameData, sameType, typeText } from "./text.ts";

export interface BuilderOptions {
  /** Allows fold rules that can change a float result. */
  readonly fastMath?: boolean;
  /** Makes every node exactly as asked: no folding, no merging. For tests that compare with and without. */
  readonly raw?: boolean;
}

interface Made {
  readonly node: Node;
  /** It stays though nothing uses its results. */
  readonly held: boolean;
  readonly locs: Loc[];
}

/** Ordered by tokens: what it does stays, whether or not its results are used. */
export function isHeld(operands: readonly Value[], results: readonly ValueType[]): boolean {
  return operands.some((v) => v.type.kind === "token") || results.some((t) => t.kind === "token");
}

/** Ordered by tokens, or acting by its op: neither folded nor merged. */
export function isEffectful(
  def: Pick<OpDef, "effect">,
  operands: readonly Value[],
  results: readonly ValueType[],
): boolean {
  return def.effect || isHeld(operands, results);
}

export class Builder implements Emitter {
  readonly name: string;
  readonly fastMath: boolean;
  private readonly raw: boolean;
  private readonly params: Param[] = [];
  private readonly names = new Set<string>();
  private readonly made: Made[] = [];
  /** By value id: the value, and the node that made it unless it is a parameter. */
  private readonly values: Value[] = [];
  private readonly makers: (Made | undefined)[] = [];
  private readonly merged = new Map<string, Made>();
  private readonly syms = new Map<string, Sym>();
  private readonly largeData = new Map<string, TypedArray[]>();
  private readonly regionTexts = new WeakMap<Graph, string>();
  private locs: readonly Loc[] = [];
  /** How many of the nodes `tag` has seen. */
  private tagged = 0;

  constructor(name: string, options: BuilderOptions = {}) {
    this.name = name.replace(/[^A-Za-z0-9_.$-]+/g, "_") || "graph";
    this.fastMath = options.fastMath ?? false;
    this.raw = options.raw ?? false;
  }

  /** Adds a parameter; may come after nodes. The name becomes an identifier that no other parameter has. */
  param(kind: ParamKind, type: ValueType, name: string): Value {
    const value = this.newValue(type, undefined);
    this.params.push({ kind, name: this.uniqueName(name), value });
    return value;
  }

  /** The name of a parameter. */
  nameOf(param: Value): string {
    return this.params.find(({ value }) => value === param)?.name ?? "value";
  }

  /** Where the nodes that follow were written; several positions where a pass merges or rewrites nodes. */
  at(locs: Loc | readonly Loc[] | undefined): void {
    this.locs = locs === undefined ? [] : "file" in locs ? [locs] : locs;
  }

  /** Where nodes are written that are emitted now. */
  get here(): readonly Loc[] {
    return this.locs;
  }

  /** Gives a position to the nodes made since the last tag that have none. */
  tag(loc: Loc): void {
    for (; this.tagged < this.made.length; this.tagged++) {
      const { locs } = this.made[this.tagged]!;
      if (locs.length === 0) locs.push(loc);
    }
  }

  /** How many nodes have been made. */
  get size(): number {
    return this.made.length;
  }

  emit(op: string, operands: readonly Value[], attrs: Attrs = {}): Value {
    const results = this.emitNode(op, operands, attrs);
    if (results.length !== 1) throw new Error(`op ${op} has ${results.length} results where one is expected`);
    return results[0]!;
  }

  emitAll(op: string, operands: readonly Value[], attrs: Attrs = {}): readonly Value[] {
    return this.emitNode(op, operands, attrs);
  }

  /** Emits an op that has regions; operands go by group, in the order of the op's entry. */
  emitRegion(
    op: string,
    groups: Readonly<Record<string, readonly Value[]>>,
    attrs: Attrs,
    regions: readonly Graph[],
  ): readonly Value[] {
    const names = getOp(op).groups;
    for (const name of Object.keys(groups))
      if (!names.includes(name)) throw new Error(`op ${op} has no operand group ${name}, only ${names.join(", ")}`);
    const operands = names.flatMap((name) => groups[name] ?? []);
    const counts = names.map((name) => ({ name, count: groups[name]?.length ?? 0 }));
    return this.emitNode(op, operands, attrs, regions, counts);
  }

  scalar(dtype: DType, value: number): Value {
    const data = allocate(dtype, 1);
    data[0] = roundTo(dtype, value);
    return this.emit("const", [], { dtype, shape: [], data });
  }

  /** A constant of any shape; one value everywhere becomes a broadcast, which costs kernels nothing. */
  constant(host: HostTensor): Value {
    const { dtype, shape, data } = host;
    if (shape.length > 0 && data.length > 0 && isSplat(data)) {
      const element = this.emit("const", [], { dtype, shape: [], data: data.slice(0, 1) });
      return this.emit("broadcast", [element], { shape, dims: [] });
    }
    return this.emit("const", [], { dtype, shape, data });
  }

  constantOf(value: Value): HostTensor | undefined {
    const node = this.makers[value.id]?.node;
    if (node === undefined || value.type.kind !== "tensor") return undefined;
    const { dtype } = value.type;
    const shape = staticShape(value.type);
    if (shape === undefined) return undefined;
    if (node.op === "const") return { dtype, shape, data: node.attrs["data"] as TypedArray };
    const size = shape.reduce((n, d) => n * d, 1);
    if (node.op !== "broadcast" || size > inlineElements) return undefined;
    const source = this.constantOf(node.operands[0]!);
    if (source === undefined || source.shape.length > 0) return undefined;
    const data = allocate(dtype, size);
    for (let i = 0; i < size; i++) data.set(source.data, i);
    return { dtype, shape, data };
  }

  definition(value: Value): Node | undefined {
    return this.makers[value.id]?.node;
  }

  /** Where the node of a value was written, so far as that has been told by now. */
  locsOf(value: Value): readonly Loc[] {
    return this.makers[value.id]?.locs ?? [];
  }

  /** Emits any node. `emit` and `emitRegion` are the ways to call it by hand; passes that copy nodes use it directly. */
  emitNode(
    op: string,
    given: readonly Value[],
    attrs: Attrs,
    regions: readonly Graph[] = [],
    groups: readonly OperandGroup[] = [],
  ): readonly Value[] {
    const def = getOp(op);
    given.forEach((v, i) => {
      if (v === undefined || this.values[v.id] !== v)
        throw new Error(`operand ${i} of ${op} is not a value of graph ${this.name}`);
    });
    const operands = this.raw ? given : this.order(op, given);
    const types = def.type(
      operands.map((v) => v.type),
      attrs,
      regions,
      groups,
    );
    if (this.raw || isEffectful(def, operands, types))
      return this.append(op, operands, attrs, regions, groups, types).node.results;

    const folded = this.foldConstants(def, operands, attrs, regions, types) ?? this.applyRules(def, operands, attrs);
    if (folded !== undefined) {
      folded.forEach((v, i) => {
        if (!sameType(v.type, types[i]!))
          throw new Error(`folding ${op} made ${typeText(v.type)} where its type is ${typeText(types[i]!)}`);
      });
      return folded;
    }
    const key = this.key(def, operands, attrs, regions, groups);
    const known = this.merged.get(key);
    if (known !== undefined) {
      for (const loc of this.locs) if (!known.locs.some((l) => sameLoc(l, loc))) known.locs.push(loc);
      return known.node.results;
    }
    const made = this.append(op, operands, attrs, regions, groups, types);
    this.merged.set(key, made);
    return made.node.results;
  }

  /** The finished graph: what the results and effects need, in order, with dense ids. All parameters stay. */
  finish(results: readonly GraphResult[]): Graph {
    const needed = new Set<number>();
    for (const { value } of results) {
      if (value === undefined || this.values[value.id] !== value)
        throw new Error(`a result of graph ${this.name} is not one of its values`);
      needed.add(value.id);
    }
    const kept: Made[] = [];
    for (const made of [...this.made].reverse()) {
      if (!made.held && !made.node.results.some((v) => needed.has(v.id))) continue;
      for (const v of made.node.operands) needed.add(v.id);
      kept.push(made);
    }
    kept.reverse();

    const renamed = new Map<Value, Value>();
    const rename = (value: Value): Value => {
      const fresh: Value = { id: renamed.size, type: value.type };
      renamed.set(value, fresh);
      return fresh;
    };
    const params = this.params.map((p): Param => ({ kind: p.kind, name: p.name, value: rename(p.value) }));
    const nodes = kept.map(
      ({ node }): Node => ({
        ...node,
        operands: node.operands.map((v) => renamed.get(v)!),
        results: node.results.map(rename),
      }),
    );
    const used = new Set<string>();
    for (const value of renamed.keys()) this.collectSyms(value.type, used);
    return {
      name: this.name,
      syms: [...used].sort().map((name) => this.syms.get(name)!),
      params,
      nodes,
      results: results.map((r): GraphResult => ({ ...r, value: renamed.get(r.value)! })),
      debug: { locs: kept.map((made) => [...made.locs]) },
    };
  }

  /** Operands of commutative operations: a constant comes last, so that rules look for it on one side only. */
  private order(op: string, operands: readonly Value[]): readonly Value[] {
    if (!isCommutative(op) || operands.length !== 2) return operands;
    const [a, b] = [operands[0]!, operands[1]!];
    return this.constantOf(a) !== undefined && this.constantOf(b) === undefined ? [b, a] : operands;
  }

  private foldConstants(
    def: OpDef,
    operands: readonly Value[],
    attrs: Attrs,
    regions: readonly Graph[],
    types: readonly ValueType[],
  ): readonly Value[] | undefined {
    // A broadcast of one constant is the canonical form of a constant with equal elements: it stays.
    if (operands.length === 0 || regions.length > 0) return undefined;
    // Where backends differ in the last place, a result must not depend on whether its operand was known when traced.
    if (def.ulp > 0 && !this.fastMath && types.some((t) => t.kind === "tensor" && isFloat(t.dtype))) return undefined;
    const shapes = types.map((t) => (t.kind === "tensor" ? staticShape(t) : undefined));
    if (shapes.some((s) => s === undefined || s.reduce((n, d) => n * d, 1) > inlineElements)) return undefined;
    const inputs: HostTensor[] = [];
    for (const operand of operands) {
      const input = this.constantOf(operand);
      if (input === undefined) return undefined;
      inputs.push(input);
    }
    if (def.name === "broadcast" && inputs[0]!.shape.length === 0) return undefined;
    const outputs = def.eval(inputs, attrs, types as readonly TensorType[], {
      graphs: [],
      groups: [],
      run: () => {
        throw new Error(`op ${def.name} has no regions`);
      },
    });
    // Marks (barrier, stopGradient) hand their operands on: they are there to be seen, not to compute.
    if (outputs.some((output) => inputs.includes(output))) return undefined;
    return outputs.map((output) => {
      if (!inputs.some((input) => input.data === output.data)) canonicalizeNaNs(output.data);
      return this.constant(output);
    });
  }

  private applyRules(def: OpDef, operands: readonly Value[], attrs: Attrs): readonly Value[] | undefined {
    for (const rule of def.fold) {
      if (rule.fast === true && !this.fastMath) continue;
      const value = rule.apply(this, operands, attrs);
      if (value !== undefined) return [value];
    }
    return undefined;
  }

  private append(
    op: string,
    operands: readonly Value[],
    attrs: Attrs,
    regions: readonly Graph[],
    groups: readonly OperandGroup[],
    types: readonly ValueType[],
  ): Made {
    const results: Value[] = [];
    const made: Made = {
      node: { op, operands, groups, attrs, regions, results },
      held: isHeld(operands, types),
      locs: [...this.locs],
    };
    for (const type of types) results.push(this.newValue(type, made));
    this.made.push(made);
    return made;
  }

  private newValue(type: ValueType, maker: Made | undefined): Value {
    const value: Value = { id: this.values.length, type };
    this.collectSyms(type);
    this.values.push(value);
    this.makers.push(maker);
    return value;
  }

  private collectSyms(type: ValueType, into?: Set<string>): void {
    if (type.kind === "token") return;
    for (const dim of type.shape) {
      if (typeof dim === "number") continue;
      visitAtoms(dim, (atom) => {
        if (atom.kind !== "sym") return;
        const { sym } = atom;
        const known = this.syms.get(sym.name);
        if (known !== undefined && (known.lo !== sym.lo || known.hi !== sym.hi))
          throw new Error(
            `symbolic size ${sym.name} is in [${known.lo}, ${known.hi}] in one type and in [${sym.lo}, ${sym.hi}] in another`,
          );
        this.syms.set(sym.name, sym);
        into?.add(sym.name);
      });
    }
  }

  /** Canonical text of a pure node. Nodes with equal keys are equal: no part of it is a bare hash. */
  private key(
    def: OpDef,
    operands: readonly Value[],
    attrs: Attrs,
    regions: readonly Graph[],
    groups: readonly OperandGroup[],
  ): string {
    const ids = operands.map((v) => v.id);
    if (isCommutative(def.name)) ids.sort((a, b) => a - b);
    const grouped = groups.map((g) => `${g.name}${g.count}`).join(" ");
    const head = `${def.name} ${ids.join(",")} ${grouped} ${attrsText(def.attrs, attrs, this.nameData)}`;
    return regions.length === 0 ? head : `${head}\n${regions.map((r) => this.regionText(r)).join("")}`;
  }

  private regionText(region: Graph): string {
    let text = this.regionTexts.get(region);
    if (text === undefined) {
      text = graphText(region, this.nameData);
      this.regionTexts.set(region, text);
    }
    return text;
  }

  /** Numbers large constants by their contents. */
  private readonly nameData = (data: TypedArray): string => {
    const hash = dataHash(data);
    let same = this.largeData.get(hash);
    if (same === undefined) this.largeData.set(hash, (same = []));
    let index = same.findIndex((known) => sameData(known, data));
    if (index < 0) index = same.push(data) - 1;
    return `${hash}.${index}`;
  };

  private uniqueName(name: string): string {
    const plain = name.replace(/[^A-Za-z0-9_.]+/g, "_").replace(/^_+(?=[A-Za-z])|[_.]+$/g, "");
    const base = /^[A-Za-z_]/.test(plain) ? plain : `p${plain}`;
    let unique = base;
    for (let i = 1; this.names.has(unique); i++) unique = `${base}_${i}`;
    this.names.add(unique);
    return unique;
  }
}

function isCommutative(op: string): boolean {
  return isScalarOp(op) && scalarOp(op).commutative === true;
}

function staticShape(type: TensorType): readonly number[] | undefined {
  const out: number[] = [];
  for (const dim of type.shape as readonly Dim[]) {
    if (typeof dim === "number") out.push(dim);
    else if (isConst(dim)) out.push(dim.constant);
    else return undefined;
  }
  return out;
}

function sameLoc(a: Loc, b: Loc): boolean {
  return a.file === b.file && a.line === b.line && a.column === b.column && a.name === b.name;
}

/** Whether all elements have the same bits. */
function isSplat(data: TypedArray): boolean {
  for (const x of data) if (!Object.is(x, data[0])) return false;
  return true;
}
