/** Programs that pages and dumps are tested with: a tiny one a loop, a training step, a large one. */
import { inspect, loadWebgpu } from "@sinter/runtime";
import { compile, random, spec, type Tensor, tensor, variable, whileLoop } from "sinter";
import { Classifier } from "../../examples/digits/model.ts";

export function tiny() {
  return compile((x: Tensor, y: Tensor) => x.mul(y).add(1).sum(), { name: "tiny" }).lower(spec([32]), spec([32]));
}

/** Square roots by Newton's method: as many rounds as the data needs. */
export function newton() {
  const roots = (x: Tensor) =>
    whileLoop(
      ({ error }) => error.gt(1e-6),
      ({ guess }) => {
        const next = guess.add(x.div(guess)).mul(0.5);
        return { guess: next, error: next.sub(guess).abs().max() };
      },
      { guess: x, error: tensor(1) },
    );
  return compile(roots, { name: "newton", autograph: false }).lower(spec([64]));
}

export function trainingStep() {
  return new Classifier().compiledStep().lower(spec([128, 784]), spec([128], "i32"));
}

/** The same program as it is compiled for every device that has WebGPU. */
export async function forGpu({ graph }: ReturnType<typeof tiny>) {
  await loadWebgpu();
  return { inspect: () => inspect(graph, { backend: "webgpu" }) };
}

/** More than 1,000 operations. */
export function deep() {
  const w = variable(random.normal(random.key(1), [64, 64]), { name: "w" });
  const layers = (x: Tensor) => {
    let h = x;
    for (let i = 0; i < 62; i++) h = h.matmul(w).add(i).tanh().mul(h.softmax(-1)).sub(h.mean());
    return h;
  };
  return compile(layers, { name: "deep", autograph: false }).lower(spec([16, 64]));
}
