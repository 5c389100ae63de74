/** `fit`: trains a model by one compiled step, epoch after epoch. */
import { gradients, SinterError, scope, type Tensor } from "@sinter/tracer";
import { checkOptions, describeValue } from "@sinter/tracer/errors";
import { clipByGlobalNorm, Optimizer } from "../optim/index.ts";
import { type Batch, type Batches, checkBatches } from "./batches.ts";
import type { History } from "./history.ts";
import type { FitOptions } from "./options.ts";
import { checkLoss, checkModel, type Model, meanLoss, Pass } from "./pass.ts";
import { Training } from "./training.ts";

/**
 * Trains `model` on batches { x, y }: each step computes the gradients of loss(y, model.call(x, { training: true })) and of the
 * model's penalties, and applies the optimiser to its trainable variables. Losses and metrics are added up in the step and
 * read some times a second; those of an epoch are over all its samples.
 *
 * A loss that is not finite is noticed at the end of its epoch at the latest: model and optimiser get back what they were
 * at the end of the last good epoch (or at the beginning), and the error names the step. Throws for empty datasets and
 * for batches that are not { x, y } too.
 */
export async function fit<Y = Tensor, P = Tensor>(
  model: Model<P>,
  dataset: Batches,
  options: FitOptions<Y, P>,
): Promise<History> {
  check(model, dataset, options);
  const { loss, optimizer, clipNorm, metrics = [], compile = {} } = options;
  const make = (first: Batch): Pass => {
    const variables = model.trainableVariables;
    if (variables.length === 0)
      throw new SinterError("fit: the model has no trainable variables: it has none at all, or all are frozen");
    scope(() => void optimizer.prepare(variables));
    const body = (x: unknown, y: unknown) => {
      const { value, aux, grads } = gradients(
        () => {
          const predictions = model.call(x as never, { training: true });
          return [meanLoss("fit", loss(y as Y, predictions)).add(model.penalty()), predictions] as const;
        },
        variables,
        { hasAux: true },
      );
      optimizer.apply(clipNorm === undefined ? grads : clipByGlobalNorm(grads, clipNorm).grads, variables);
      return { loss: value, predictions: aux };
    };
    return new Pass("fit", model, body, metrics, compile, first);
  };
  return new Training(model, dataset, options as FitOptions<unknown, unknown>, make).run();
}

const known: readonly (keyof FitOptions)[] = [
  ...(["loss", "optimizer", "epochs", "metrics", "validation", "callbacks", "stepsPerEpoch", "initialEpoch"] as const),
  ...(["initialStep", "clipNorm", "onNaN", "interrupt", "signal", "compile"] as const),
];

function check<Y, P>(model: Model<P>, dataset: Batches, options: FitOptions<Y, P>): void {
  checkModel("fit", model);
  checkOptions("fit", options, known);
  checkBatches("fit", "dataset", dataset);
  const { loss, optimizer, validation, clipNorm, onNaN = "throw" } = options;
  checkLoss("fit", loss);
  if (!(optimizer instanceof Optimizer))
    throw new SinterError(
      `fit: optimizer must be one, such as optim.adam({ learningRate: 1e-3 }), not ${describeValue(optimizer)}`,
    );
  if (validation !== undefined) checkBatches("fit", "validation", validation);
  for (const [name, least] of [
    ["epochs", 0],
    ["stepsPerEpoch", 1],
    ["initialEpoch", 0],
    ["initialStep", 0],
  ] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isInteger(value) && value >= least))
      throw new SinterError(`fit: ${name} must be a whole number from ${least} on, not ${describeValue(value)}`);
  }
  if (clipNorm !== undefined && !(clipNorm > 0))
    throw new SinterError(`fit: clipNorm must be a number above 0, not ${describeValue(clipNorm)}`);
  if (onNaN !== "throw" && onNaN !== "stop")
    throw new SinterError(`fit: onNaN must be "throw" or "stop", not ${describeValue(onNaN)}`);
  const { callbacks = [] } = options;
  if (!Array.isArray(callbacks) || callbacks.some((each) => each !== undefined && typeof each !== "object"))
    throw new SinterError(
      "fit: callbacks must be an array of objects, such as [earlyStopping({ patience: 3 })]; call what makes them",
    );
}
