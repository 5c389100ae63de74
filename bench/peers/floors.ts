// The machine's own limits as a peer, so that they are measured between the others, round by round.
import { expectedSum, flopsPerRun, fmaPeak } from "../floors/fma-peak.ts";
import { stream } from "../floors/stream.ts";
import { sumInput } from "../harness/inputs.ts";
import type { Job, Peer, Prepared, Refusal } from "../harness/job.ts";
import { sum64 } from "../reference/array-ops.ts";

export const peer: Peer = {
  name: "floors",
  prepare: (job) => Promise.resolve(prepare(job)),
};

function prepare(job: Job): Prepared | Refusal {
  switch (job.kind) {
    case "fma-peak": {
      const peak = fmaPeak(job.relaxed);
      if (typeof peak === "string") return { refused: peak };
      return {
        run: () => void peak.run(),
        result: () => Float32Array.of(peak.run() / expectedSum),
        facts: { flops: flopsPerRun },
        dispose: () => {},
      };
    }
    case "read-bandwidth":
    case "copy-bandwidth": {
      const floor = stream(job.kind === "read-bandwidth" ? "read" : "copy", job.size);
      floor.source.set(sumInput(job));
      return {
        run: () => void floor.pass(),
        result: () => {
          const sum = floor.pass();
          return Float32Array.of(job.kind === "read-bandwidth" ? sum : sum64(floor.target));
        },
        facts: { bytes: job.size * 4 * (job.kind === "read-bandwidth" ? 1 : 2) },
        dispose: () => {},
      };
    }
    default:
      return { refused: "not a floor" };
  }
}
