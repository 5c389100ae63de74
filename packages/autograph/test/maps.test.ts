// Source maps: every piece of the source that is in the output points back to where it was.
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import { expect, test } from "vitest";
import { fileOf, project } from "./support/transform.ts";

const source = fileOf(`export function f(x: Tensor, first: Tensor) {
  let total = first;
  for (const row of x) {
    if (row.gt(0)) continue;
    total = total.add(row.mul(2));
    if (total.gt(100)) return total;
  }
  const sign = total.gt(0) ? first : x.add(total);
  return sign.matmul(total);
}`);

function position(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: before.at(-1)!.length };
}

test("from the output to the source, with tags", () => {
  const { code, map } = project({ tags: true }).transform(source, "src/case.ts");
  const trace = new TraceMap(map as never);
  for (const piece of [
    "total = first",
    "row.gt(0)",
    "row.mul(2)",
    "total.add(",
    "total.gt(100)",
    "x.add(total)",
    "matmul",
  ]) {
    const { line, column } = originalPositionFor(trace, position(code, code.indexOf(piece)));
    expect({ piece, line, column }).toEqual({ piece, ...position(source, source.indexOf(piece)) });
  }
});

test("no line moves", () => {
  const { code } = project({ tags: true }).transform(source, "src/case.ts");
  const lines = code.split("\n");
  expect(lines).toHaveLength(source.split("\n").length);
  for (const piece of ["row.gt(0)", "total.gt(100)", "sign"]) {
    expect(lines.findIndex((l) => l.includes(piece))).toBe(source.split("\n").findIndex((l) => l.includes(piece)));
  }
});

test("the table of locations holds lines and columns of constructs and operations", () => {
  const { code } = project({ tags: true }).transform(source, "src/case.ts");
  const [, table] = /\$ag\.locs\("src\/case\.ts", (\[\[.*?\]\])\)/.exec(code)!;
  const places = (JSON.parse(table!) as [number, number][]).map(([line, column]) =>
    source.split("\n")[line - 1]!.slice(column - 1),
  );
  const starts = [
    "for (const row",
    "if (row.gt(0))",
    "gt(0)) continue",
    "mul(2)",
    "add(row",
    "total.gt(0) ?",
    "matmul(",
  ];
  for (const start of starts)
    expect(
      places.some((p) => p.startsWith(start)),
      start,
    ).toBe(true);
});
