// What a case hands back to be printed: tables, targets and failures. No measuring here.

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One line of "It must reach", with what this run measured. */
export interface Target {
  readonly text: string;
  readonly measured: string;
  /** undefined where this run could not tell. */
  readonly met: boolean | undefined;
}

export interface Section {
  readonly name: string;
  readonly title: string;
  readonly tables: readonly Table[];
  readonly notes: readonly string[];
  readonly targets: readonly Target[];
  /** Wrong results; any makes the bench exit with an error. */
  readonly failures: readonly string[];
  /** Everything measured, for `--json`. */
  readonly data: unknown;
}

/** A target that holds when `value` is at least `least`. */
export function atLeast(text: string, value: number | undefined, least: number, unit: string): Target {
  return target(text, value, unit, (measured) => measured >= least);
}

/** A target that holds when `value` is at most `most`. */
export function atMost(text: string, value: number | undefined, most: number, unit: string): Target {
  return target(text, value, unit, (measured) => measured <= most);
}

function target(text: string, value: number | undefined, unit: string, holds: (value: number) => boolean): Target {
  if (value === undefined || Number.isNaN(value)) return { text, measured: "not measured", met: undefined };
  return { text, measured: `${significant(value)}${unit}`, met: holds(value) };
}

/** Three significant digits, never in exponent form between 0.001 and 10^6. */
export function significant(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(size)) return String(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(1);
  return value.toFixed(Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size)))));
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(0)}%`;
}
