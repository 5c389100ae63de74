// Ten epochs on the digits: does training in float32 end where the same training in float64 ends?
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { batches, loadDigits, type Split } from "../../examples/digits/data.ts";
import { adam, initialWeights } from "../../examples/digits/model.ts";
import { PeerProcess } from "../harness/peer-process.ts";
import { atLeast, atMost, type Section } from "../harness/section.ts";
import { type Context, sinterName } from "../harness/timed-case.ts";
import { Float64Mlp } from "../reference/mlp-float64.ts";
import type { Case } from "./case.ts";

const job = { kind: "training-run", batch: 128, epochs: 10 } as const;

export const accuracy: Case = {
  name: "accuracy",
  runsByDefault: (options) => options.accuracy,
  run: async (context) => {
    context.progress("training in float32");
    const own = await trainWithSinter(context);
    const reference = trainInFloat64(loadDigits(), context);
    return section(own, reference);
  },
};

async function trainWithSinter(context: Context): Promise<number[] | string> {
  const process = new PeerProcess(sinterName);
  const resultFile = join(context.folder, "accuracy.f32");
  try {
    const reply = await process.ask({ type: "check", job, resultFile });
    if (reply.type === "failed" || reply.type === "refused") return reply.reason;
    const bytes = readFileSync(resultFile);
    return [...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))];
  } finally {
    await process.stop();
  }
}

function trainInFloat64({ train, test }: Split, context: Context): number[] {
  const layers = initialWeights().map((layer) => ({ ...layer, bias: new Float32Array(layer.outputs) }));
  const network = new Float64Mlp(layers, adam);
  const accuracies: number[] = [];
  for (let epoch = 0; epoch < job.epochs; epoch++) {
    context.progress(`training in float64, epoch ${epoch + 1} of ${job.epochs}`);
    for (const { images, labels } of batches(train, job.batch, epoch)) network.step(images, labels);
    const found = network.classify(test.images, test.count);
    accuracies.push(test.labels.filter((label, i) => label === found[i]).length / test.count);
  }
  return accuracies;
}

function section(own: number[] | string, reference: number[]): Section {
  const failed = typeof own === "string";
  const last = failed ? undefined : own.at(-1)! * 100;
  const difference = last === undefined ? undefined : Math.abs(last - reference.at(-1)! * 100);
  const cell = (share: number | undefined): string => (share === undefined ? "" : `${(share * 100).toFixed(2)}%`);
  return {
    name: "accuracy",
    title: "Accuracy on 2,000 held-out digits after training on 8,000",
    tables: [
      {
        columns: ["epoch", "", "Sinter, f32", "reference, f64"],
        rows: reference.map((share, epoch) => [
          String(epoch + 1),
          "",
          failed ? "FAILED" : cell(own[epoch]),
          cell(share),
        ]),
      },
    ],
    notes: [],
    targets: [
      atLeast("94% or more after ten epochs", last, 94, "%"),
      atMost("within 0.5 points of float64", difference, 0.5, " points"),
    ],
    failures: failed ? [`${sinterName}: ${own}`] : [],
    data: { sinter: own, float64: reference },
  };
}
