// The tables of docs/COVERAGE.md, from the registry of ops, the sources of the array functions and the package's exports.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  allOps,
  type DType,
  dtypes,
  isScalarOp,
  mathUlp,
  type OpDef,
  type Rng,
  scalarOpNames,
  scalarOps,
} from "@sinter/ir";
import * as sinter from "sinter";
import { seededRng } from "../../test/support/random.ts";
import { apiNames } from "./api-names.ts";

const packages = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "packages");

/** Named tables for the regions of docs/COVERAGE.md. */
export function coverageTables(): ReadonlyMap<string, string> {
  return new Map([
    ["ops", opTable()],
    ["scalar-ops", scalarTable()],
    ["functions", functionTable()],
    ["random-functions", table(["function", "result"], documented("random.ts"))],
    ["api", apiTable()],
    ["accuracy", accuracyTable()],
  ]);
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("\n", " ").replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), `|${header.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

function opTable(): string {
  const rows = allOps
    .filter((op) => !isScalarOp(op.name))
    .map((op) => [`\`${op.name}\``, op.doc, typesOf(op), op.derivative.kind, op.nest.kind, String(op.ulp)]);
  return table(["op", "result", "element types", "derivative", "nest", "ulp"], rows);
}

function scalarTable(): string {
  const rows = scalarOpNames.map((name) => {
    const row = scalarOps[name];
    const repeated = (dtype: DType): DType[] =>
      name === "select" ? ["bool", dtype, dtype] : Array.from({ length: row.arity }, () => dtype);
    const types = dtypes.filter((dtype) => row.type(repeated(dtype)) !== undefined);
    return [`\`${name}\``, row.doc, types.join(" "), row.partials === undefined ? "none" : "yes", String(row.ulp)];
  });
  return table(["op", "result", "element types", "derivative", "ulp"], rows);
}

const samples = 400;

/** The element types of the first operand (of the result, where there is none) that the op's sampler draws. */
function typesOf(op: OpDef): string {
  if (op.groups.length > 0) return "any";
  const found = new Set<DType>();
  for (let seed = 0; seed < samples; seed++) {
    const rng: Rng = seededRng(seed);
    const { operands, attrs } = op.sample(rng);
    const first = operands[0]?.type ?? op.type([], attrs, [], [])[0];
    if (first?.kind === "tensor") found.add(first.dtype);
  }
  return dtypes.filter((dtype) => found.has(dtype)).join(" ");
}

const files: Readonly<Record<string, string>> = {
  "create.ts": "making tensors",
  "elementwise.ts": "element by element",
  "reduce.ts": "reductions",
  "linalg.ts": "products",
  "conv.ts": "convolution",
  "pool.ts": "pooling",
  "movement.ts": "shapes",
  "indexing.ts": "indexing",
  "sort.ts": "order",
};

function functionTable(): string {
  const known = new Set(Object.values(files).length === libraryFiles().length ? Object.keys(files) : []);
  if (!libraryFiles().every((file) => known.has(file)))
    throw new Error(`packages/tracer/src/lib holds files without a topic: ${libraryFiles().join(", ")}`);
  const methods = new Set(sinter.methodNames);
  const rows = Object.entries(files).flatMap(([file, topic]) =>
    documented(file).map(([name, doc], i) => [
      i === 0 ? topic : "",
      name,
      doc,
      methods.has(name.replaceAll("`", "")) ? "yes" : "",
    ]),
  );
  return table(["topic", "function", "result", "method"], rows);
}

function libraryFiles(): string[] {
  return readdirSync(join(packages, "tracer", "src", "lib")).filter(
    (file) => !["index.ts", "random.ts"].includes(file),
  );
}

/** Exported functions of a file of the library and the first sentence of what is written above them. */
function documented(file: string): [string, string][] {
  const source = readFileSync(join(packages, "tracer", "src", "lib", file), "utf8");
  const found = source.matchAll(/(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)?export (?:function|class|const) (\w+)/g);
  const out: [string, string][] = [];
  for (const [, comment = "", name] of found) {
    if (!isPublic(file, name!)) continue;
    const text = comment
      .replace(/\n\s*\*/g, " ")
      .replace(/\s+/g, " ")
      .trim();
    out.push([`\`${name}\``, /^(.*?[^.]\.)(?= [A-Z`]|$)/.exec(text)?.[1] ?? (text || scalarDoc(name!))]);
  }
  return out;
}

/** What the scalar table says of a function that has no comment of its own. */
function scalarDoc(name: string): string {
  if (isScalarOp(name)) return scalarOps[name].doc;
  throw new Error(`${name} has no comment that says what it gives`);
}

function isPublic(file: string, name: string): boolean {
  const home: object = file === "random.ts" ? sinter.random : sinter;
  return typeof Object.getOwnPropertyDescriptor(home, name)?.value === "function";
}

function apiTable(): string {
  const rows = Object.entries(apiNames).map(([topic, list]) => {
    const names = list.split(/\s+/).filter((name) => name !== "");
    const shown = (there: boolean): string =>
      names
        .filter((name) => exists(name) === there)
        .map((name) => `\`${name.replace(/^(Tensor|Variable|compile)\./, "")}\``)
        .join(" ");
    return [topic, shown(true), shown(false)];
  });
  return table(["topic", "there", "not yet"], rows);
}

const sources = new Map<string, string>();
function sourceOf(file: string): string {
  let text = sources.get(file);
  if (text === undefined) sources.set(file, (text = readFileSync(join(packages, "tracer", "src", file), "utf8")));
  return text;
}

/** Where what `compile` takes and gives is declared. */
function functionFiles(): string[] {
  return readdirSync(join(packages, "tracer", "src"))
    .filter((file) => /^function.*\.ts$/.test(file))
    .map(sourceOf);
}

function exists(name: string): boolean {
  const [home, member] = name.split(".") as [string, string | undefined];
  if (member === undefined) return home in sinter;
  if (home === "Tensor")
    return member in sinter.Tensor.prototype || new RegExp(`readonly ${member}:`).test(sourceOf("tensor.ts"));
  if (home === "Variable") return member in sinter.Variable.prototype;
  if (home === "random") return member in sinter.random;
  const from = `interface ${home === "compile" ? "FunctionOptions" : "CompiledFunction"}`;
  const source = functionFiles().find((text) => text.includes(from)) ?? "";
  const start = source.indexOf(from);
  return new RegExp(`\\b${member}\\??[:(]`).test(source.slice(start, source.indexOf("\n}", start)));
}

function accuracyTable(): string {
  const rows = Object.entries(mathUlp)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { f32, f64 }]) => [`\`${name}\``, f32.toFixed(1), f64.toFixed(1)]);
  return table(["function", "f32", "f64"], rows);
}
