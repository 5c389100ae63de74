/**
 * Reads the text that `print.ts` writes, by recursive descent. Names of values are free; types are taken as written,
 * and `verifyGraph` says whether they are right.
 */
import type { AttrKind } from "./define-op.ts";
import { allocate, type DType, isDType, type TypedArray } from "./dtype.ts";
import type {
  Attrs,
  AttrValue,
  Graph,
  GraphResult,
  Loc,
  Node,
  OperandGroup,
  Param,
  ParamKind,
  Value,
  ValueType,
} from "./graph.ts";
import { tokenType } from "./graph.ts";
import { Cursor, type Token } from "./lex.ts";
import type { IndexExpr, Sym } from "./nest/expr.ts";
import {
  addIndex,
  divIndex,
  indexConst,
  maxIndex,
  minIndex,
  modIndex,
  mulIndex,
  scaleIndex,
  symIndex,
  toDim,
} from "./nest/index-algebra.ts";
import { findOp } from "./ops/index.ts";

export { ParseError } from "./lex.ts";

export interface ParseOptions {
  /** Contents of the constants that the text names, as `printGraphWithData` gives them. */
  readonly data?: ReadonlyMap<string, TypedArray>;
  /** Name of the text: each node's line becomes its source position. */
  readonly file?: string;
}

/** The graph that a text describes; throws `ParseError` with line, column and a caret. */
export function parseGraph(text: string, options: ParseOptions = {}): Graph {
  const cursor = new Cursor(text);
  const graph = new GraphParser(cursor, options).graph();
  if (cursor.peek().kind !== "end") cursor.fail("expected the end of the text", cursor.peek(), true);
  return graph;
}

/** Literal elements, which become data once the dtype is known. */
interface Literals {
  readonly attr: string;
  readonly tokens: readonly Token[];
}

class GraphParser {
  private readonly c: Cursor;
  private readonly options: ParseOptions;
  private readonly syms = new Map<string, Sym>();
  private readonly values = new Map<string, Value>();

  constructor(cursor: Cursor, options: ParseOptions) {
    this.c = cursor;
    this.options = options;
  }

  graph(): Graph {
    const { c } = this;
    c.expect("graph");
    const name = c.take("graph", "a name with @").text.slice(1);
    this.readSyms();
    const params = c.list("(", ")", () => this.param());
    if (c.accept("where")) this.symList();
    c.expect("{");
    const nodes: Node[] = [];
    const locs: Loc[][] = [];
    while (!c.at("return")) {
      if (c.at("}") || c.peek().kind === "end") c.fail('expected a node or "return"', c.peek(), true);
      locs.push(this.options.file === undefined ? [] : [{ file: this.options.file, ...c.place() }]);
      nodes.push(this.node());
    }
    c.expect("return");
    const results: GraphResult[] = [];
    if (!c.at("}")) {
      do results.push(this.result());
      while (c.accept(","));
    }
    c.expect("}");
    return { name, syms: [...this.syms.values()], params, nodes, results, debug: { locs } };
  }

  /** Sizes are declared behind the parameters whose types use them: looks ahead. */
  private readSyms(): void {
    const { c } = this;
    const mark = c.mark();
    if (!c.at("(")) return;
    let depth = 0;
    do {
      const token = c.next();
      if (token.kind === "end") break;
      if (token.text === "(") depth++;
      if (token.text === ")") depth--;
    } while (depth > 0);
    if (c.accept("where")) this.symList();
    c.reset(mark);
  }

  private symList(): void {
    const { c } = this;
    this.syms.clear();
    do {
      const token = c.take("name", "the name of a symbolic size");
      if (this.syms.has(token.text)) c.fail(`symbolic size ${token.text} is declared twice`, token);
      c.expect("in");
      const bounds = c.list("[", "]", () => this.number());
      if (bounds.length !== 2) c.fail("expected a lower and an upper bound");
      this.syms.set(token.text, { name: token.text, lo: bounds[0]!, hi: bounds[1]! });
    } while (c.accept(","));
  }

  private param(): Param {
    const { c } = this;
    const token = c.take("value", "a parameter");
    c.expect(":");
    let kind: ParamKind = "arg";
    if (c.accept("state")) kind = "state";
    else if (c.accept("const")) kind = "const";
    else if (c.at("token")) kind = "token";
    const value = this.define(token, this.type());
    return { kind, name: token.text.slice(1), value };
  }

  private define(token: Token, type: ValueType): Value {
    if (this.values.has(token.text)) this.c.fail(`${token.text} is defined twice`, token);
    const value: Value = { id: this.values.size, type };
    this.values.set(token.text, value);
    return value;
  }

  private use(): Value {
    const token = this.c.take("value", "a value");
    return this.values.get(token.text) ?? this.c.fail(`${token.text} is not defined`, token);
  }

  private type(): ValueType {
    const { c } = this;
    const token = c.take("name", "a type");
    if (token.text === "token") return tokenType;
    if (!isDType(token.text)) c.fail(`${token.text} is not a dtype`, token);
    return { kind: "tensor", dtype: token.text as DType, shape: c.list("[", "]", () => toDim(this.dim())) };
  }

  private result(): GraphResult {
    const { c } = this;
    if (c.accept("token")) return { kind: "token", value: this.use() };
    if (!c.accept("state")) return { kind: "out", value: this.use() };
    c.expect("[");
    const param = this.number();
    c.expect("]");
    return { kind: "state", value: this.use(), param };
  }

  private node(): Node {
    const { c } = this;
    const names: Token[] = [];
    if (c.peek().kind === "value") {
      do names.push(c.take("value", "a value"));
      while (c.accept(","));
      c.expect("=");
    }
    const opToken = c.take("name", "the name of an op");
    const def = findOp(opToken.text) ?? c.fail(`there is no op ${opToken.text}`, opToken);
    const { operands, groups } = this.operands(def.groups);
    const literals: Literals[] = [];
    const attrs = c.at("{") ? this.attrs(opToken.text, def.attrs, literals) : {};
    const types: ValueType[] = [];
    if (c.accept(":")) {
      do types.push(this.type());
      while (c.accept(","));
    }
    if (types.length !== names.length)
      c.fail(`${opToken.text} has ${names.length} results but ${types.length} types`, names[0] ?? opToken);
    for (const literal of literals) {
      const first = types[0]?.kind === "tensor" ? types[0].dtype : undefined;
      const dtype = isDType(String(attrs["dtype"])) ? (attrs["dtype"] as DType) : first;
      attrs[literal.attr] = this.data(literal.tokens, dtype ?? c.fail("a constant needs a type", opToken));
    }
    const regions: Graph[] = [];
    while (c.at("graph")) regions.push(c.nested(() => new GraphParser(c, this.options).graph()));
    const results = names.map((token, i) => this.define(token, types[i]!));
    return { op: opToken.text, operands, groups, attrs: attrs as Attrs, regions, results };
  }

  private operands(known: readonly string[]): { operands: Value[]; groups: OperandGroup[] } {
    const { c } = this;
    const operands: Value[] = [];
    const groups: OperandGroup[] = [];
    if (c.peek().kind === "name" && c.peek(1).text === "(") {
      do {
        const name = c.take("name", "the name of an operand group");
        if (!known.includes(name.text)) c.fail(`there is no operand group ${name.text}`, name);
        const members = c.list("(", ")", () => this.use());
        groups.push({ name: name.text, count: members.length });
        operands.push(...members);
      } while (c.accept(","));
    } else if (c.peek().kind === "value" && !this.startsNode()) {
      do operands.push(this.use());
      while (c.accept(","));
    }
    return { operands, groups };
  }

  /** Whether the values ahead are results of the next node (`%a, %b = ...`), not operands of this one. */
  private startsNode(): boolean {
    for (let i = 0; ; i += 2) {
      if (this.c.peek(i).kind !== "value") return false;
      if (this.c.peek(i + 1).text === "=") return true;
      if (this.c.peek(i + 1).text !== ",") return false;
    }
  }

  private attrs(
    op: string,
    kinds: Readonly<Record<string, AttrKind>>,
    literals: Literals[],
  ): Record<string, AttrValue> {
    const { c } = this;
    const out: Record<string, AttrValue> = {};
    c.list("{", "}", () => {
      const name = c.take("name", "the name of an attribute");
      const known = Object.hasOwn(kinds, name.text) ? kinds[name.text] : undefined;
      const kind = known ?? c.fail(`op ${op} has no attribute ${name.text}`, name);
      if (Object.hasOwn(out, name.text)) c.fail(`attribute ${name.text} is given twice`, name);
      c.expect("=");
      if (kind === "data" && c.at("[")) {
        out[name.text] = undefined;
        literals.push({ attr: name.text, tokens: c.list("[", "]", () => this.literal()) });
      } else out[name.text] = this.attr(kind);
    });
    return out;
  }

  private attr(kind: AttrKind): AttrValue {
    const { c } = this;
    switch (kind) {
      case "int": {
        const token = c.peek();
        const value = this.number();
        return Number.isInteger(value) ? value : c.fail("expected an integer", token, true);
      }
      case "float":
        return this.number();
      case "bool":
        if (c.accept("true")) return true;
        if (c.accept("false")) return false;
        return c.fail("expected true or false", c.peek(), true);
      case "name":
        return c.take("name", "a name").text;
      case "dtype": {
        const token = c.take("name", "a dtype");
        return isDType(token.text) ? token.text : c.fail(`${token.text} is not a dtype`, token);
      }
      case "texts":
        return c.list("[", "]", () => JSON.parse(c.take("text", "a text in quotes").text) as string);
      case "ints":
        return c.list("[", "]", () => this.number());
      case "intLists":
        return c.list("[", "]", () => c.list("[", "]", () => this.number()));
      case "dims":
        return c.list("[", "]", () => toDim(this.dim()));
      case "data": {
        const token = c.take("data", "elements or hash:...");
        return this.options.data?.get(token.text) ?? c.fail(`the contents of ${token.text} are not given`, token);
      }
      default:
        return kind satisfies never;
    }
  }

  private literal(): Token {
    const token = this.c.next();
    if (token.kind === "number" || token.text === "nan" || token.text === "inf") return token;
    return this.c.fail("expected a number", token, true);
  }

  private number(): number {
    const token = this.literal();
    return numberOf(token.text);
  }

  private data(tokens: readonly Token[], dtype: DType): TypedArray {
    const data = allocate(dtype, tokens.length);
    tokens.forEach((token, i) => {
      const bits = token.text.startsWith("nan:") ? token.text.slice(4) : undefined;
      if (bits !== undefined && dtype === "f32")
        new Uint32Array(data.buffer, data.byteOffset, data.length)[i] = Number(bits);
      else if (bits !== undefined && dtype === "f64")
        new BigUint64Array(data.buffer, data.byteOffset, data.length)[i] = BigInt(bits);
      else data[i] = numberOf(token.text);
      if (!Object.is(data[i], numberOf(token.text)) && dtype !== "f32")
        this.c.fail(`${token.text} is not a value of ${dtype}`, token);
    });
    return data;
  }

  /** sum of `2*atom`, `atom` and numbers */
  private dim(): IndexExpr {
    return this.c.nested(() => {
      let out = this.term();
      while (this.c.accept("+")) out = addIndex(out, this.term());
      return out;
    });
  }

  private term(): IndexExpr {
    const { c } = this;
    if (c.peek().kind === "number") {
      const value = this.number();
      return c.accept("*") ? scaleIndex(this.atom(), value) : indexConst(value);
    }
    return this.atom();
  }

  private atom(): IndexExpr {
    const { c } = this;
    if (c.at("(")) {
      const left = this.inParentheses();
      if (c.accept("div")) return divIndex(left, this.inParentheses());
      if (c.accept("mod")) return modIndex(left, this.inParentheses());
      return c.accept("*") ? mulIndex(left, this.inParentheses()) : left;
    }
    const token = c.take("name", "a size");
    if ((token.text === "min" || token.text === "max") && c.at("(")) {
      const [a, b] = c.list("(", ")", () => this.dim());
      if (a === undefined || b === undefined) return c.fail(`${token.text} takes two sizes`, token);
      return token.text === "min" ? minIndex(a, b) : maxIndex(a, b);
    }
    const sym = this.syms.get(token.text);
    return sym === undefined ? c.fail(`symbolic size ${token.text} is not declared`, token) : symIndex(sym);
  }

  private inParentheses(): IndexExpr {
    this.c.expect("(");
    const out = this.dim();
    this.c.expect(")");
    return out;
  }
}

function numberOf(text: string): number {
  if (text.startsWith("nan")) return Number.NaN;
  if (text === "inf") return Number.POSITIVE_INFINITY;
  if (text === "-inf") return Number.NEGATIVE_INFINITY;
  return Number(text);
}
