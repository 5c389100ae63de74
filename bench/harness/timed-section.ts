// The table of a timed case: one row per job and contestant, with the floor and the ratio to Sinter.
import { percent, type Section, significant, type Table, type Target } from "./section.ts";
import { median } from "./statistics.ts";
import {
  bandwidthFloor,
  floorRate,
  floorTime,
  fmaFloor,
  type JobResult,
  type Outcome,
  ratioToSinter,
  sinterName,
} from "./timed-case.ts";

/** What the rate column counts. */
export type RateUnit = "GFLOP/s" | "GB/s";

export interface TimedSection {
  readonly name: string;
  readonly title: string;
  readonly unit: RateUnit;
  readonly results: readonly JobResult[];
  readonly targets: readonly Target[];
  readonly notes?: readonly string[];
  /** Tables beside the main one. */
  readonly tables?: readonly Table[];
}

export function timedSection({ name, title, unit, results, targets, notes = [], tables = [] }: TimedSection): Section {
  return {
    name,
    title,
    tables: [mainTable(results, unit), ...tables],
    notes: [...problems(results), ...kernelCounts(results), ...notes],
    targets,
    failures: results.flatMap(failuresOf),
    data: results.map((result) => ({ ...result, outcomes: Object.fromEntries(result.outcomes) })),
  };
}

interface Row {
  readonly result: JobResult;
  readonly contestant: string;
  readonly outcome: Outcome;
}

type Timed = Extract<Outcome, { status: "timed" }>;

/** A column shows nothing for a row where it gives undefined, and is left out where that is so for all rows. */
interface Column {
  readonly title: string;
  cell(row: Row): string | undefined;
}

function mainTable(results: readonly JobResult[], unit: RateUnit): Table {
  const rows = results.flatMap((result) =>
    [...result.outcomes].map(([contestant, outcome]): Row => ({ result, contestant, outcome })),
  );
  const shown = rows.filter(({ outcome }) => outcome.status !== "refused");
  const used = columnsOf(unit)
    .map(({ title, cell }) => ({ title, cells: shown.map((row) => cell(row)) }))
    .filter(({ cells }) => cells.some((cell) => cell !== undefined));
  return {
    columns: used.map(({ title }) => title),
    rows: shown.map((_, index) => used.map(({ cells }) => cells[index] ?? "")),
  };
}

const isFloor = (contestant: string): boolean => contestant === fmaFloor || contestant === bandwidthFloor;

function columnsOf(unit: RateUnit): Column[] {
  /** A column of what was timed; floors have none of it. */
  const timed = (title: string, cell: (outcome: Timed, row: Row) => number | undefined): Column => ({
    title,
    cell: (row) => {
      if (row.outcome.status !== "timed" || isFloor(row.contestant)) return undefined;
      const value = cell(row.outcome, row);
      return value === undefined || Number.isNaN(value) ? undefined : significant(value);
    },
  });
  const fact = (name: string): Column => ({
    title: name,
    cell: ({ outcome }) =>
      outcome.status === "checked" || outcome.status === "timed" ? outcome.facts[name]?.toString() : undefined,
  });
  return [
    { title: "job", cell: ({ result }) => result.label },
    { title: "who", cell: ({ contestant }) => (isFloor(contestant) ? `(${contestant})` : contestant) },
    { title: "result", cell: ({ outcome }) => verdicts[outcome.status] },
    timed("ms", ({ rounds }) => median(rounds)),
    timed("best ms", ({ rounds }) => Math.min(...rounds)),
    timed("alone ms", ({ waited }) => median(waited)),
    timed("device ms", ({ device }) => median(device)),
    { title: unit, cell: (row) => rateOf(row, unit) },
    timed("floor ms", (_, { result }) => floorTime(result)),
    {
      title: "of floor",
      cell: ({ result, contestant, outcome }) => {
        const floor = floorTime(result);
        if (outcome.status !== "timed" || isFloor(contestant) || floor === undefined) return undefined;
        return percent(floor / median(outcome.rounds));
      },
    },
    timed("x Sinter's time", (_, { result, contestant }) => ratioToSinter(result, contestant)),
    fact("submits"),
    fact("dispatches"),
    {
      title: "max error",
      cell: ({ contestant, outcome }) =>
        (outcome.status === "checked" || outcome.status === "timed") && !isFloor(contestant)
          ? outcome.maxError.toExponential(1)
          : undefined,
    },
  ];
}

const verdicts: Partial<Record<Outcome["status"], string>> = { failed: "FAILED", checked: "right" };

function rateOf({ result, contestant, outcome }: Row, unit: RateUnit): string | undefined {
  if (outcome.status !== "timed") return undefined;
  if (contestant === fmaFloor || contestant === bandwidthFloor) {
    const rate = significant((floorRate(result, contestant) ?? Number.NaN) / 1e6);
    const unitOfFloor = contestant === fmaFloor ? "GFLOP/s" : "GB/s";
    return unitOfFloor === unit ? rate : `${rate} ${unitOfFloor}`;
  }
  const amount = unit === "GFLOP/s" ? result.work.flops : result.work.bytes;
  return significant(amount / median(outcome.rounds) / 1e6);
}

/** Who did not take part or was wrong, and why; one line per reason. */
function problems(results: readonly JobResult[]): string[] {
  const reasons = new Set<string>();
  for (const { outcomes } of results) {
    for (const [name, outcome] of outcomes) {
      if (outcome.status === "refused") reasons.add(`${name}: no time, ${outcome.reason}`);
      if (outcome.status === "failed") reasons.add(`${name}: FAILED, ${outcome.reason}`);
    }
  }
  return [...reasons];
}

function kernelCounts(results: readonly JobResult[]): string[] {
  return results.flatMap((result) => {
    const kernels = kernelsOf(result);
    return kernels === undefined
      ? []
      : [`${sinterName}, ${result.label}: ${kernels} kernel${kernels === 1 ? "" : "s"}`];
  });
}

/** Sinter's kernel count for a job, where it said one. */
export function kernelsOf(result: JobResult): number | undefined {
  const outcome = result.outcomes.get(sinterName);
  if (outcome?.status !== "timed" && outcome?.status !== "checked") return undefined;
  const kernels = outcome.facts["kernels"];
  return kernels === undefined ? undefined : Number(kernels);
}

function failuresOf({ label, outcomes }: JobResult): string[] {
  return [...outcomes].flatMap(([name, outcome]) =>
    outcome.status === "failed" ? [`${label}, ${name}: ${outcome.reason}`] : [],
  );
}
