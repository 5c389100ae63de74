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

function mainTable(results: readonly JobResult[], unit: RateUnit): Table {
  const rows = results.flatMap((result) =>
    [...result.outcomes]
      .filter(([, outcome]) => outcome.status !== "refused")
      .map(([contestant, outcome]) => row(result, contestant, outcome, unit)),
  );
  return {
    columns: ["job", "who", "ms", "best ms", unit, "floor ms", "of floor", "x Sinter's time", "max error"],
    rows,
  };
}

function row(result: JobResult, contestant: string, outcome: Outcome, unit: RateUnit): string[] {
  if (outcome.status === "failed") return [result.label, contestant, "FAILED"];
  if (outcome.status === "refused") return [result.label, contestant];
  const error = outcome.maxError.toExponential(1);
  if (outcome.status === "checked") return [result.label, contestant, "right", "", "", "", "", "", error];
  const time = median(outcome.rounds);
  const best = Math.min(...outcome.rounds);
  if (contestant === fmaFloor || contestant === bandwidthFloor) {
    const rate = (floorRate(result, contestant) ?? Number.NaN) / 1e6;
    const unitOfFloor = contestant === fmaFloor ? "GFLOP/s" : "GB/s";
    return [
      result.label,
      `(${contestant})`,
      "",
      "",
      `${significant(rate)}${unitOfFloor === unit ? "" : ` ${unitOfFloor}`}`,
    ];
  }
  const amount = unit === "GFLOP/s" ? result.work.flops : result.work.bytes;
  const floor = floorTime(result);
  const ratio = ratioToSinter(result, contestant);
  return [
    result.label,
    contestant,
    significant(time),
    significant(best),
    significant(amount / time / 1e6),
    floor === undefined ? "" : significant(floor),
    floor === undefined ? "" : percent(floor / time),
    ratio === undefined ? "" : significant(ratio),
    error,
  ];
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
