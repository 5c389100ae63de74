// A training step's loss and gradients of a convolutional classifier of digits, batch 64, against plain loops.
import { convInputs } from "../harness/inputs.ts";
import { atLeast } from "../harness/section.ts";
import { ratioToSinter, runJobs } from "../harness/timed-case.ts";
import { timedSection } from "../harness/timed-section.ts";
import { ConvClassifier, convSizes } from "../reference/conv-classifier.ts";
import type { Case } from "./case.ts";

const batch = 64;

export const convTraining: Case = {
  name: "conv-training",
  run: async (context) => {
    const results = await runJobs(
      context,
      [
        {
          label: "step",
          job: { kind: "conv-training", batch },
          work: {
            flops: flops(),
            bytes: bytes(),
            bandwidth: { kind: "copy-bandwidth", size: 1024 * 1024 },
          },
          reference,
          tolerance: { absolute: 1e-5, relative: 1e-4 },
        },
      ],
      ["typed-array"],
    );
    return timedSection({
      name: "conv-training",
      title: "Convolutional classifier, 28x28x1, 3x3x16, 3x3x32, dense, batch 64: loss and gradients",
      unit: "GFLOP/s",
      results,
      targets: [atLeast("at least 8x faster than plain loops", ratioToSinter(results[0]!, "typed-array"), 8, "x")],
    });
  },
};

/** Forward, gradients of the filters, and of the images of the second layer; the dense layer three times. */
function flops(): number {
  const { side, window, filters, classes } = convSizes;
  const first = side ** 2 * window ** 2 * filters[0];
  const second = (side / 2) ** 2 * window ** 2 * filters[0] * filters[1];
  const dense = (side / 4) ** 2 * filters[1] * classes;
  return 2 * batch * (2 * first + 3 * second + 3 * dense);
}

/** What each layer makes is written and read once on either way. */
function bytes(): number {
  const { side, filters } = convSizes;
  return 4 * batch * 4 * (side ** 2 * filters[0] + (side / 2) ** 2 * filters[1]);
}

function reference(): Float64Array {
  const { images, labels, parameters } = convInputs(batch);
  const network = new ConvClassifier<Float64Array>(batch, (size) => new Float64Array(size));
  const loss = network.step(
    Float64Array.from(images),
    labels,
    parameters.map((p) => Float64Array.from(p)),
  );
  return Float64Array.from([loss, ...network.gradients.flatMap((g) => [...g])]);
}
