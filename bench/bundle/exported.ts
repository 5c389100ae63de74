// The bundles whose size and start the bench reports: the classifier of digits, to ask and to train.
import { bundleFiles, compile, spec, type Tensor } from "sinter";
import { pixels } from "../../examples/digits/data.ts";
import { Classifier } from "../../examples/digits/model.ts";

export type Files = ReadonlyMap<string, Uint8Array>;

/** Probabilities of the ten digits for one image. */
export function inferenceBundle(): Files {
  const model = new Classifier();
  const predict = compile((images: Tensor) => model.logits(images).softmax(-1), { name: "predict" });
  return bundleFiles(predict, { inputs: [spec([1, pixels])] });
}

/** One step of training on a batch of 128: forward, backward and Adam. */
export function trainingBundle(): Files {
  return bundleFiles(new Classifier().compiledStep(), { inputs: [spec([128, pixels]), spec([128], "i32")] });
}
