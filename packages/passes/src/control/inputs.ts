/**
 * A scan steps through what is in memory anyway. An input that is made from others element by element is made step by
 * step inside, where it fuses with what reads it; one that is the same at each step becomes a capture.
 */
import { type Builder, isScalarOp, type Rows, rowsOf, typeOf, type Value } from "@sinter/ir";
import { mapCost, muchWork } from "./free.ts";
import { type RegionOp, type Rewritten, rebind, type Slot, sameResults } from "./region-op.ts";

/** How many inputs may take the place of one. */
const mostSources = 2;

/** How the rows of a value come about. */
type Step =
  | { readonly kind: "input" }
  | { readonly kind: "capture"; readonly value: Value }
  | { readonly kind: "rows"; readonly rows: Rows; readonly source: Value }
  | { readonly kind: "elementwise"; readonly operands: readonly Value[] };

export function stepInputs(b: Builder, op: RegionOp): Rewritten | undefined {
  const cheap = op.xs.filter(
    ({ value }) => stepOf(b, value).kind !== "input" && sourcesOf(b, value).xs.size <= mostSources,
  );
  if (cheap.length === 0) return undefined;
  const captures: Slot[] = [...op.captures];
  const xs: Slot[] = op.xs.filter((slot) => !cheap.includes(slot));
  for (const { value, name } of cheap) {
    const sources = sourcesOf(b, value);
    for (const source of sources.captures)
      if (!captures.some((slot) => slot.value === source)) captures.push({ value: source, name });
    for (const source of sources.xs) if (!xs.some((slot) => slot.value === source)) xs.push({ value: source, name });
  }
  return sameResults(
    rebind(
      b,
      op,
      { captures, init: op.init, xs },
      {
        bind(c, inside) {
          const known = new Map<Value, Value>();
          const capture = (value: Value): Value => inside.captures[captures.findIndex((slot) => slot.value === value)]!;
          const rowOf = (value: Value): Value => {
            let row = known.get(value);
            if (row === undefined) known.set(value, (row = makeRow(value)));
            return row;
          };
          const makeRow = (value: Value): Value => {
            const slot = xs.findIndex((other) => other.value === value);
            if (slot >= 0) return inside.xs[slot]!;
            const step = stepOf(b, value);
            switch (step.kind) {
              case "input":
                throw new Error("an input of a scan is missing");
              case "capture":
                return capture(step.value);
              case "rows":
                return step.rows.row(c, rowOf(step.source));
              case "elementwise": {
                const { op, attrs } = b.definition(value)!;
                return c.emit(op, step.operands.map(rowOf), attrs);
              }
              default:
                return step satisfies never;
            }
          };
          return {
            captures: inside.captures.slice(0, op.captures.length),
            init: inside.init,
            xs: op.xs.map(({ value }) => rowOf(value)),
          };
        },
      },
    ),
  );
}

function stepOf(b: Builder, value: Value): Step {
  if (typeOf(value).shape.length === 0) return { kind: "capture", value };
  const rows = rowsOf(b, value);
  if (rows !== undefined)
    return rows.source === undefined
      ? { kind: "capture", value: rows.row(b, undefined) }
      : { kind: "rows", rows, source: rows.source };
  const made = b.definition(value);
  if (made === undefined || !isScalarOp(made.op)) return { kind: "input" };
  const cost = mapCost(made, value);
  return cost !== undefined && cost < muchWork ? { kind: "elementwise", operands: made.operands } : { kind: "input" };
}

/** What the rows of a value are made of in the end. */
function sourcesOf(b: Builder, value: Value): { readonly captures: Set<Value>; readonly xs: Set<Value> } {
  const [captures, xs, seen] = [new Set<Value>(), new Set<Value>(), new Set<Value>()];
  const visit = (current: Value): void => {
    if (seen.has(current)) return;
    seen.add(current);
    const step = stepOf(b, current);
    if (step.kind === "input") xs.add(current);
    else if (step.kind === "capture") captures.add(step.value);
    else if (step.kind === "rows") visit(step.source);
    else step.operands.forEach(visit);
  };
  visit(value);
  return { captures, xs };
}
