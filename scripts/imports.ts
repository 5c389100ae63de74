// Finds the module specifiers of one TypeScript or JavaScript source, with their positions. Type-only imports,
// re-exports, dynamic imports and `import("x").T` types all count. It knows nothing of packages or of files.
import { parseSync } from "rolldown/utils";

export interface ModuleImport {
  readonly specifier: string;
  /** 1-based line of the specifier. */
  readonly line: number;
  /** Offsets of the quoted specifier in the source, quotes included. */
  readonly start: number;
  readonly end: number;
  readonly typeOnly: boolean;
}

/** A node of the syntax tree, seen generically: only its type and children matter here. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface ParsedSource {
  readonly imports: readonly ModuleImport[];
  readonly nodes: readonly SyntaxNode[];
  readonly comments: readonly { readonly value: string; readonly start: number }[];
  lineOf(offset: number): number;
}

/** Parses `source` (the language follows from the ending of `file`) and lists its imports, nodes and comments. */
export function parseSource(file: string, source: string): ParsedSource {
  const parsed = parseSync(file, source);
  const error = parsed.errors.find((candidate) => candidate.severity === "Error");
  if (error !== undefined) throw new Error(`${file}: ${error.message}`);
  const nodes: SyntaxNode[] = [];
  collect(parsed.program, nodes);
  const lineOf = (offset: number): number => source.slice(0, offset).split("\n").length;
  const imports: ModuleImport[] = [];
  for (const node of nodes) {
    const literal = specifierOf(node);
    if (literal === undefined || typeof literal["value"] !== "string") continue;
    const { start, end } = literal;
    imports.push({ specifier: literal["value"], line: lineOf(start), start, end, typeOnly: isTypeOnly(node) });
  }
  return { imports, nodes, comments: parsed.comments, lineOf };
}

function specifierOf(node: SyntaxNode): SyntaxNode | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return asNode(node["source"]);
    case "TSExternalModuleReference":
      return asNode(node["expression"]);
    default:
      return undefined;
  }
}

function isTypeOnly(node: SyntaxNode): boolean {
  return node.type === "TSImportType" || node["importKind"] === "type" || node["exportKind"] === "type";
}

function collect(value: unknown, into: SyntaxNode[]): void {
  if (Array.isArray(value)) {
    for (const item of value) collect(item, into);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const node = asNode(value);
  if (node !== undefined) into.push(node);
  for (const child of Object.values(value)) collect(child, into);
}

function asNode(value: unknown): SyntaxNode | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return "type" in value && "start" in value && "end" in value ? (value as SyntaxNode) : undefined;
}
