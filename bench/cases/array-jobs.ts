// Jobs over whole arrays, for the cases of both benches: what they compute, how much work that is, and when it is right.
import { elementwiseConstants, elementwiseInput, softmaxInput, sumInput } from "../harness/inputs.ts";
import type { TimedJob } from "../harness/timed-case.ts";
import { elementwise64, softmax64, sum64 } from "../reference/array-ops.ts";

/**
 * Operations of one transcendental in f32: argument reduction by two fused steps, a polynomial of degree six, and the
 * scaling, with a fused multiply-add as two.
 */
const flopsPerTranscendental = 20;

const mega = 1024 * 1024;

/** y = tanh(a*x + b) * sigmoid(x) + exp(-x*x) over so many times 1,048,576 elements. */
export function elementwiseJob(millions: number): TimedJob {
  const job = { kind: "elementwise", size: millions * mega } as const;
  return {
    label: `${millions}M`,
    job,
    work: {
      // tanh, sigmoid and exp, and five plain operations.
      flops: job.size * (3 * flopsPerTranscendental + 5),
      bytes: job.size * 8,
      bandwidth: { kind: "copy-bandwidth", size: job.size },
    },
    reference: () => elementwise64(elementwiseInput(job), elementwiseConstants.a, elementwiseConstants.b),
    tolerance: { absolute: 2e-6, relative: 2e-6 },
  };
}

export function softmaxJob(rows: number, columns: number): TimedJob {
  const job = { kind: "softmax", rows, columns } as const;
  const elements = rows * columns;
  return {
    label: `${rows}x${columns}`,
    job,
    work: {
      // A maximum, a subtraction, an exponential, a sum and a product.
      flops: elements * (flopsPerTranscendental + 4),
      bytes: elements * 8,
      bandwidth: { kind: "copy-bandwidth", size: elements },
    },
    reference: () => softmax64(softmaxInput(job), columns),
    tolerance: { absolute: 1e-9, relative: 1e-5 },
  };
}

/** The sum of so many times 1,048,576 elements. */
export function sumJob(millions: number): TimedJob {
  const job = { kind: "sum", size: millions * mega } as const;
  return {
    label: `${millions}M`,
    job,
    // The additions are counted as free: they hide behind the loads.
    work: { flops: 0, bytes: job.size * 4, bandwidth: { kind: "read-bandwidth", size: job.size } },
    reference: () => Float64Array.of(sum64(sumInput(job))),
    // Relative to the sum of magnitudes, size / 2, which is what a backward-stable sum promises.
    tolerance: { absolute: (job.size / 2) * 1e-6, relative: 0 },
  };
}
