// The matrix product as a timed job, for the two cases that use it.
import { matmulInputs } from "../harness/inputs.ts";
import type { TimedJob } from "../harness/timed-case.ts";
import { matmul64 } from "../reference/array-ops.ts";

const megafloats4 = 4 * 1024 * 1024;

export function matmulJob(m: number, k: number, n: number): TimedJob {
  const job = { kind: "matmul", m, k, n } as const;
  return {
    label: m === k && k === n ? `${m}` : `${m}x${k}x${n}`,
    job,
    work: {
      flops: 2 * m * k * n,
      bytes: 4 * (m * k + k * n + m * n),
      bandwidth: { kind: "copy-bandwidth", size: megafloats4 },
    },
    reference: () => {
      const { a, b } = matmulInputs(job);
      return matmul64(m, k, n, a, b);
    },
    // Products of values in [-1, 1) summed k times: rounding grows with k at worst, with its root in practice. A single
    // missing product is about a thousand times as large.
    tolerance: { absolute: k * 2 ** -23, relative: 0 },
  };
}
