/** Numbers and tables as text for terminals. */

/** Three digits and a unit: `1.84 ms`. */
export function durationText(milliseconds: number): string {
  if (milliseconds >= 1e3) return `${numberText(milliseconds / 1e3)} s `;
  if (milliseconds >= 1) return `${numberText(milliseconds)} ms`;
  if (milliseconds >= 1e-3) return `${numberText(milliseconds * 1e3)} us`;
  return `${numberText(milliseconds * 1e6)} ns`;
}

/** Three significant digits, without an exponent. */
export function numberText(value: number): string {
  if (value === 0) return "0";
  if (value >= 100) return String(Math.round(value));
  return value.toFixed(value >= 10 ? 1 : 2);
}

export function percentText(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

/** Columns of equal width; those of `right` are aligned to the right. A line stands above the last `foot` rows. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[],
  foot: number,
): string {
  const all = [header, ...rows];
  const widths = header.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  const line = (row: readonly string[]): string =>
    widths
      .map((width, i) => (right.includes(i) ? (row[i] ?? "").padStart(width) : (row[i] ?? "").padEnd(width)))
      .join("  ")
      .trimEnd();
  const rule = "-".repeat(widths.reduce((n, width) => n + width + 2, -2));
  const split = rows.length - foot;
  return [line(header), rule, ...rows.slice(0, split).map(line), rule, ...rows.slice(split).map(line)].join("\n");
}
