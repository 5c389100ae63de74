// What the GPU itself reaches, as the other cases count it: multiply-adds in registers, and the traffic of its memory.
import { join } from "node:path";
import type { Case } from "../cases/case.ts";
import type { Job } from "../harness/job.ts";
import { PeerProcess } from "../harness/peer-process.ts";
import { type Section, significant } from "../harness/section.ts";
import { median } from "../harness/statistics.ts";
import type { Context } from "../harness/timed-case.ts";

interface Limit {
  readonly what: string;
  readonly size: string;
  readonly job: Job;
  readonly unit: string;
}

type Found = { readonly rate: number | undefined; readonly way: string } | { readonly reason: string };

/** `millions`: sizes of the arrays that are read and copied, in 1,048,576 floats. */
export function limits(millions: readonly number[]): Case {
  const wanted: Limit[] = [
    { what: "multiply-adds in registers", size: "", job: { kind: "fma-peak", relaxed: false }, unit: "GFLOP/s" },
    ...(["copy-bandwidth", "read-bandwidth"] as const).flatMap((kind) =>
      millions.map((million) => ({
        what: kind === "copy-bandwidth" ? "copy, both directions" : "read",
        size: `${million * 4} MiB`,
        job: { kind, size: million * 1024 * 1024 },
        unit: "GB/s",
      })),
    ),
  ];
  return {
    name: "limits",
    run: async (context) => {
      const floors = new PeerProcess("floors", context.peerFolder);
      try {
        const found: Found[] = [];
        for (const { what, size, job } of wanted) {
          context.progress(`${what} ${size}`);
          found.push(await measure(context, floors, job));
        }
        return section(wanted, found);
      } finally {
        await floors.stop();
      }
    },
  };
}

async function measure({ options, folder }: Context, floors: PeerProcess, job: Job): Promise<Found> {
  const checked = await floors.ask({ type: "check", job, resultFile: join(folder, "limit.f32") });
  if (checked.type !== "checked") return { reason: "reason" in checked ? checked.reason : checked.type };
  if (options.checkOnly) return { rate: undefined, way: "" };
  const warmed = await floors.ask({ type: "warm", limitSeconds: 5 });
  const sampled = await floors.ask({ type: "sample", seconds: options.quick ? 0.3 : 1 });
  if (warmed.type !== "warmed" || sampled.type !== "times")
    return { reason: "reason" in sampled ? sampled.reason : sampled.type };
  const { facts } = warmed;
  const amount = Number(facts["flops"] ?? facts["bytes"]);
  return { rate: amount / median(sampled.times.runs) / 1e6, way: String(facts["way"]) };
}

function section(wanted: readonly Limit[], found: readonly Found[]): Section {
  const isTimed = found.some((each) => "rate" in each && each.rate !== undefined);
  const cells = (index: number): string[] => {
    const each = found[index]!;
    if ("reason" in each) return ["FAILED"];
    return each.rate === undefined ? ["right"] : [`${significant(each.rate)} ${wanted[index]!.unit}`, each.way];
  };
  return {
    name: "limits",
    title: "What the GPU itself reaches",
    tables: [
      {
        columns: ["what", "array", ...(isTimed ? ["rate", "by"] : ["result"])],
        rows: wanted.map(({ what, size }, index) => [what, size, ...cells(index)]),
      },
    ],
    notes: [],
    targets: [],
    failures: found.flatMap((each, index) => ("reason" in each ? [`${wanted[index]!.what}: ${each.reason}`] : [])),
    data: wanted.map(({ what, size, unit }, index) => ({ what, size, unit, ...found[index] })),
  };
}
