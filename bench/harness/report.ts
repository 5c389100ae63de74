// Printing sections as plain text.
import type { Section, Table } from "./section.ts";

export function printSection(section: Section, checkOnly: boolean): void {
  console.log(`\n${section.title}  [${section.name}]`);
  for (const table of section.tables) printTable(table);
  for (const note of section.notes) console.log(`  ${note}`);
  if (checkOnly) return;
  for (const { text, measured, met } of section.targets) {
    const verdict = met === undefined ? "open  " : met ? "met   " : "MISSED";
    console.log(`  ${verdict}  ${text}: ${measured}`);
  }
}

function printTable({ columns, rows }: Table): void {
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...rows.map((row) => (row[index] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((cell, index) => align(cell, widths[index]!, index)).join("  ")}`.trimEnd();
  console.log(line(columns));
  console.log(line(widths.map((width) => "-".repeat(width))));
  for (const row of rows) console.log(line(row));
}

/** Names to the left, numbers to the right; a cell that is a sentence stays as it is. */
function align(cell: string, width: number, column: number): string {
  return column < 2 ? cell.padEnd(width) : cell.padStart(width);
}
