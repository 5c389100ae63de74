/**
 * Makes again, inside the regions, what is captured and costs nothing to make there: constants, positions, and index
 * maps (broadcast, reshape, transpose, slice) of what they read. So a captured broadcast never becomes a buffer, and
 * constants fold with what uses them.
 */
import type { Builder, Value } from "@sinter/ir";
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
