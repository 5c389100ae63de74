// The convolutional classifier on Sinter: one compiled function gives the loss and the gradients of all parameters.
import { compile, type Tensor, tensor, valueAndGrad } from "sinter";
import { convInputs } from "../harness/inputs.ts";
import type { JobOf, Prepared } from "../harness/job.ts";
import { convSizes } from "../reference/conv-classifier.ts";

export function convTraining({ batch }: JobOf<"conv-training">): Prepared {
  const { side, window, filters, classes } = convSizes;
  const { images, labels, parameters } = convInputs(batch);
  const flat = (side / 4) ** 2 * filters[1];
  const shapes = [
    [window, window, 1, filters[0]],
    [filters[0]],
    [window, window, filters[0], filters[1]],
    [filters[1]],
    [flat, classes],
    [classes],
  ];
  const slots = parameters.map((values, i) => tensor(values, { shape: shapes[i]! }));
  const x = tensor(images, { shape: [batch, side, side, 1] });
  const y = tensor(labels);
  const loss = (
    [w1, b1, w2, b2, w3, b3]: readonly [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
    pictures: Tensor,
    digits: Tensor,
  ): Tensor => {
    const first = pictures.conv2d(w1, { padding: "same" }).add(b1).relu().maxPool(2);
    const second = first.conv2d(w2, { padding: "same" }).add(b2).relu().maxPool(2);
    const logits = second.reshape([batch, flat]).matmul(w3).add(b3);
    return logits.logSoftmax().mul(digits.oneHot(classes)).sum().div(-batch);
  };
  const step = compile(valueAndGrad(loss), { name: "convTraining" });
  const call = (): Tensor[] => {
    const [value, gradients] = step(slots as unknown as Parameters<typeof loss>[0], x, y);
    return [value, ...(gradients as unknown as Tensor[])];
  };
  return {
    run: () => {
      for (const out of call()) out.dispose();
    },
    result: async () => {
      const outs = call();
      const parts = await Promise.all(outs.map((out) => out.data()));
      for (const out of outs) out.dispose();
      return Float32Array.from(parts.flatMap((part) => [...part].map(Number)));
    },
    get facts() {
      return { kernels: step.lower(slots as unknown as Parameters<typeof loss>[0], x, y).cost().kernels };
    },
    dispose: () => {
      for (const used of [...slots, x, y]) used.dispose();
    },
  };
}
