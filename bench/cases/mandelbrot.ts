// The Mandelbrot set at 512x512 with at most 100 rounds: each element leaves its loop when it escapes.
import { mandelbrotF32 } from "../../examples/control/plain.ts";
import { mandelbrotInputs } from "../harness/inputs.ts";
import { atLeast, atMost } from "../harness/section.ts";
import { ratioToSinter, runJobs } from "../harness/timed-case.ts";
import { kernelsOf, timedSection } from "../harness/timed-section.ts";
import type { Case } from "./case.ts";

const job = { kind: "mandelbrot", size: 512, limit: 100 } as const;

export const mandelbrot: Case = {
  name: "mandelbrot",
  run: async (context) => {
    const { re, im } = mandelbrotInputs(job);
    const counts = mandelbrotF32(re, im, job.limit);
    const peers = context.peers.filter((name) => name !== "tfjs-wasm");
    const results = await runJobs(
      context,
      [
        {
          label: "512x512",
          job,
          work: {
            // Of a round: two squares, their sum and difference, twice the product, and two sums.
            flops: 8 * counts.reduce((sum, count) => sum + count, 0),
            bytes: 12 * counts.length,
            bandwidth: { kind: "copy-bandwidth", size: counts.length },
          },
          reference: () => Float64Array.from(counts),
          // In double precision, or with fused multiply-adds, a few elements at the border leave earlier or later.
          tolerance: { absolute: 0.5, relative: 0, outliers: 0.001 },
        },
      ],
      [...peers, "typed-array"],
    );
    const result = results[0]!;
    return timedSection({
      name: "mandelbrot",
      title: "Mandelbrot set, 512x512, at most 100 rounds",
      unit: "GFLOP/s",
      results,
      notes: [
        "flops: those of the rounds that each element needs; one element in 1,000 may differ, for the last bit",
        "jax-js: 100 masked rounds unrolled in one jitted function; onnxruntime-web: a Loop of 100 such rounds",
        "typed-array: double precision, as JavaScript computes",
      ],
      targets: [
        atMost("one kernel", kernelsOf(result), 1, ""),
        atLeast("at least 2x faster than a plain loop", ratioToSinter(result, "typed-array"), 2, "x"),
      ],
    });
  },
};
