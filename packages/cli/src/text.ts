/** What the verbs write to terminals: tables, and paths as the user gave them. */
import { relative, sep } from "node:path";

/** Columns under each other, two blanks before each line; those of `right` to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map((row) =>
      row.map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join("  "),
    )
    .map((line) => `  ${line.trimEnd()}`)
    .join("\n");
}

/** A path from the current folder on where it lies in it, with slashes. */
export function display(path: string): string {
  const shorter = relative(process.cwd(), path);
  return (shorter.startsWith("..") ? path : shorter).split(sep).join("/");
}
