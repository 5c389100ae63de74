/** What a function takes and gives, short enough to read. */
import type { Inspection } from "@sinter/runtime";
import { plural } from "./page/format.ts";

const longest = 240;

/** The signature; where it is long, of its states only how many there are. */
export function signatureText({ name, signature, params, results }: Inspection): string {
  if (signature.length <= longest) return signature;
  const args = params.filter(({ kind }) => kind === "arg").map((param) => `${param.name}: ${param.type}`);
  const others = params.length - args.length;
  const given = [...args, ...(others > 0 ? [`${plural(others, "variable")} and captured tensors`] : [])].join(", ");
  const outs = results.filter(({ kind }) => kind === "out").map(({ type }) => type);
  const next = results.length - outs.length;
  return `${name}(${given}) -> (${[...outs, ...(next > 0 ? [plural(next, "new value")] : [])].join(", ")})`;
}

/** What symbolic sizes were taken for in numbers that depend on them; undefined where there are none. */
export function sizesText({ cost }: Pick<Inspection, "cost">): string | undefined {
  if (cost.sizes === undefined) return undefined;
  const sizes = Object.entries(cost.sizes).map(([name, size]) => `${name} = ${size}`);
  return `numbers are for ${sizes.join(", ")}: the program takes other sizes too`;
}
