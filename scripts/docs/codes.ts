// The table of the source transform's codes, for docs/CONTROL-FLOW.md.
import { codes } from "@sinter/autograph";

export function codeTable(): ReadonlyMap<string, string> {
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  const rows = Object.entries(codes).map(
    ([code, { severity, title, instead }]) => `| ${code} | ${severity} | ${cell(title)} | ${cell(instead)} |`,
  );
  return new Map([["autograph-codes", ["| code | | what | instead |", "|---|---|---|---|", ...rows].join("\n")]]);
}
