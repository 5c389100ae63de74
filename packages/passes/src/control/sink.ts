/**
 * Makes again, inside the regions, what is captured and costs nothing to make there: constants, positions, and index
 * maps (broadcast, reshape, transpose, slice) of what they read. So a captured broadcast never becomes a buffer, and
 * constants fold with what uses them.
 */
import { type Builder, repeatedRow, type Value } from "@sinter/ir";
import { bytesOfValue, isFree } from "./free.ts";
import { type RegionOp, type Rewritten, rebind, type Slot, sameResults } from "./region-op.ts";

export function sinkCaptures(b: Builder, op: RegionOp): Rewritten | undefined {
  if (!op.captures.some(({ value }) => sinks(b, value))) return undefined;
  const sources: Slot[] = [];
  const collect = ({ value, name }: Slot): void => {
    if (sinks(b, value)) for (const operand of b.definition(value)!.operands) collect({ value: operand, name });
    else if (!sources.some((source) => source.value === value)) sources.push({ value, name });
  };
  op.captures.forEach(collect);
  return sameResults(
    rebind(
      b,
      op,
      { ...op, captures: sources },
      {
        bind(c, inside) {
          const known = new Map(sources.map((source, i) => [source.value, inside.captures[i]!]));
          const make = (value: Value): Value => {
            let made = known.get(value);
            if (made === undefined) {
              const node = b.definition(value)!;
              made = c.emit(node.op, node.operands.map(make), node.attrs);
              known.set(value, made);
            }
            return made;
          };
          return { ...inside, captures: op.captures.map(({ value }) => make(value)) };
        },
      },
    ),
  );
}

/** Not where it would keep something larger alive that is not there anyway. */
function sinks(b: Builder, value: Value): boolean {
  const node = b.definition(value);
  if (node === undefined || !isFree(node, value)) return false;
  return node.operands.every(
    (operand) => bytesOfValue(operand) <= bytesOfValue(value) || b.definition(operand) === undefined,
  );
}

/** A scan's input that is the same at each step becomes a capture. */
export function repeatedInputs(b: Builder, op: RegionOp): Rewritten | undefined {
  const rows = op.xs.map(({ value }) => repeatedRow(b, value));
  if (rows.every((row) => row === undefined)) return undefined;
  const added: Slot[] = [];
  const xs: Slot[] = [];
  op.xs.forEach((slot, i) => {
    const value = rows[i];
    if (value === undefined) xs.push(slot);
    else added.push({ value, name: slot.name });
  });
  return sameResults(
    rebind(
      b,
      op,
      { captures: [...op.captures, ...added], init: op.init, xs },
      {
        bind(_, inside) {
          const [rest, repeated] = [inside.xs.values(), inside.captures.slice(op.captures.length).values()];
          return {
            captures: inside.captures.slice(0, op.captures.length),
            init: inside.init,
            xs: rows.map((row) => (row === undefined ? rest : repeated).next().value!),
          };
        },
      },
    ),
  );
}
