/** Whether a kernel, a branch or a loop may store a value over the old contents of its buffer, given what it reads of them. */
import type { IndexExpr } from "@sinter/ir";
import { baseOf } from "./bases.ts";
import { isIdentity } from "./form.ts";
import { type GraphModel, infoOf } from "./model.ts";
import type { Template } from "./template.ts";
import type { Unit } from "./units.ts";

/** `value`: one that the unit makes. `old`: the parameter whose memory it is stored over. */
export function storesInPlace(model: GraphModel, unit: Unit, value: number, old: number): boolean {
  const { outer, nests } = unit.formed;
  const storing = nests.findIndex((n) => n.members.some((m) => m.template.id === value));
  const writer = nests[storing]!.members.find((m) => m.template.id === value)!;
  if (writer.template.kind === "control") return regionStoresInPlace(model, value, old);
  for (const [n, nest] of nests.entries())
    for (const { template, role } of nest.members)
      for (const read of template.reads) {
        if (read.id !== old) continue;
        if (writer.template.kind === "library" || writer.template.kind === "host" || n > storing) return false;
        if (writer.template.kind === "update") {
          // From another base, what is read would be overwritten by that first.
          if (baseOf(model, value) !== old || !updatesOwnPlace(writer.template, read.index)) return false;
          continue;
        }
        if (n < storing) {
          if (!isIdentity(read.index.slice(0, outer), template.par.slice(0, outer))) return false;
          continue;
        }
        if (writer.template.kind === "cumulate") return false;
        if (template === writer.template) {
          if (!read.index.every((ix, i) => ix.key === template.index[i]?.key)) return false;
          continue;
        }
        if (!isIdentity(writer.template.index, writer.template.par)) return false;
        const atEnd = role === "end" || read.atEnd;
        const writesAtEnd = writer.role === "fold" || writer.role === "end";
        // Every point of the folded axes comes before the end; what is stored at a point must have been read by then.
        if (!writesAtEnd && atEnd) return false;
        const axes = [...template.par, ...template.tail];
        if (!isIdentity(read.index, writesAtEnd ? axes.slice(0, writer.template.par.length) : axes)) return false;
      }
  return true;
}

/** Whether an update may read its base there: where the same point stores, or anywhere if there is one point only. */
function updatesOwnPlace({ tail, index, combine }: Template, at: readonly IndexExpr[]): boolean {
  if (tail.every((a) => a.extent === 1)) return true;
  // Steps in order may store one element twice: then the second would read what the first has stored.
  if (combine !== undefined || tail.some((a) => a.kind !== "par")) return false;
  return at.every((ix, i) => ix.key === index[i]?.key);
}

/** A loop starts from what it is stored over and reads it for nothing else; branches see to it themselves. */
function regionStoresInPlace(model: GraphModel, value: number, old: number): boolean {
  const { rule, operands } = infoOf(model, value);
  if (rule?.kind === "control" && rule.form === "cond") return true;
  const uses = operands.filter((id) => id === old).length;
  return uses === 0 || (uses === 1 && baseOf(model, value) === old);
}
