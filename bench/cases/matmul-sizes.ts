// matmul at sizes that are no multiple of anything: is there a cliff beside the multiples of 16?
import { atMost, percent, significant, type Table, type Target } from "../harness/section.ts";
import { type JobResult, runJobs, shareOfPeak, sinterName, timeOf } from "../harness/timed-case.ts";
import { timedSection } from "../harness/timed-section.ts";
import type { Case } from "./case.ts";
import { matmulJob } from "./matmul-job.ts";

type Sizes = readonly [m: number, k: number, n: number];

interface Odd {
  readonly sizes: Sizes;
  readonly below: Sizes;
  readonly above: Sizes;
}

const cube = (size: number): Sizes => [size, size, size];
const square = (size: number): Odd => ({
  sizes: cube(size),
  below: cube(Math.floor(size / 16) * 16),
  above: cube(Math.ceil(size / 16) * 16),
});

const oddSizes: readonly Odd[] = [
  square(255),
  square(257),
  square(511),
  square(1023),
  { sizes: [64, 100, 37], below: [64, 100, 32], above: [64, 100, 48] },
];

/** 64x100x37 needs ten vectors of four per row: it may cost what 40 columns cost. */
const oneVectorMore: Sizes = [64, 100, 40];

export const matmulSizes: Case = {
  name: "matmul-sizes",
  run: async (context) => {
    const all = [...oddSizes.flatMap(({ below, sizes, above }) => [below, sizes, above]), oneVectorMore];
    const distinct = new Map(all.map((sizes) => [String(sizes), sizes]));
    const results = await runJobs(
      context,
      [...distinct.values()].map((sizes) => matmulJob(...sizes)),
      context.peers,
      // Sixteen jobs: a smaller share of the time for each.
      { rounds: 5, seconds: 0.1, warmUpSeconds: 2 },
    );
    const resultOf = (sizes: Sizes): JobResult => results[[...distinct.keys()].indexOf(String(sizes))]!;
    const names = [sinterName, ...context.peers];
    return timedSection({
      name: "matmul-sizes",
      title: "Matrix product at odd sizes, f32",
      unit: "GFLOP/s",
      results,
      tables: context.options.checkOnly ? [] : [lineTable(names, resultOf)],
      targets: targets(resultOf),
    });
  },
};

/** The rate at an odd size over the line between its neighbours; 1 means no cliff. */
function overLine(
  { sizes, below, above }: Odd,
  name: string,
  resultOf: (sizes: Sizes) => JobResult,
): number | undefined {
  const low = shareOfPeak(resultOf(below), name);
  const own = shareOfPeak(resultOf(sizes), name);
  const high = shareOfPeak(resultOf(above), name);
  if (low === undefined || own === undefined || high === undefined) return undefined;
  // Only the last size differs in every triple.
  const position = (sizes[2] - below[2]) / (above[2] - below[2]);
  return own / (low + (high - low) * position);
}

function lineTable(names: readonly string[], resultOf: (sizes: Sizes) => JobResult): Table {
  return {
    columns: ["size", "who", "GFLOP/s", "of the line between its neighbours"],
    rows: oddSizes.flatMap((odd) =>
      names.flatMap((name) => {
        const result = resultOf(odd.sizes);
        const time = timeOf(result, name);
        const share = overLine(odd, name, resultOf);
        if (time === undefined || share === undefined) return [];
        return [[result.label, name, significant(result.work.flops / time / 1e6), percent(share)]];
      }),
    ),
  };
}

function targets(resultOf: (sizes: Sizes) => JobResult): Target[] {
  const shortfall = (odd: Odd): number | undefined => {
    const share = overLine(odd, sinterName, resultOf);
    return share === undefined ? undefined : (1 - share) * 100;
  };
  const squares = oddSizes.filter(({ sizes }) => sizes[0] === sizes[2]);
  const own = timeOf(resultOf([64, 100, 37]), sinterName);
  const wider = timeOf(resultOf(oneVectorMore), sinterName);
  return [
    ...squares.map((odd) => atMost(`${odd.sizes[0]}: at most 15% below the line`, shortfall(odd), 15, "%")),
    atMost(
      "64x100x37: one extra vector per row, so the time of 64x100x40 (within 15%)",
      own === undefined || wider === undefined ? undefined : own / wider,
      1.15,
      "x",
    ),
  ];
}
