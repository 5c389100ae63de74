/**
 * Recurrent layers. All steps are one `scan`, so that the program is equally large for sequences of any length; what does
 * not depend on the state, x times the kernel, is one product before it.
 */
import {
  ShapeError,
  SinterError,
  scan,
  split,
  type Tensor,
  type TensorLike,
  tensor,
  Variable,
  zeros as zeroTensor,
} from "@sinter/tracer";
import { checkOptions, describe, describeValue } from "@sinter/tracer/errors";
import { type Activation, activationOf } from "../activations.ts";
import { glorotUniform, type Initializer, orthogonal, zeros } from "../init.ts";
import type { CallOptions } from "../module.ts";
import type { Regularizer } from "../regularizers.ts";
import { checkCount, Layer, type LayerOptions } from "./layer.ts";

export interface RecurrentOptions extends LayerOptions {
  /** Of the new state; tanh unless given. */
  readonly activation?: Activation;
  readonly useBias?: boolean;
  /** glorotUniform unless given. */
  readonly kernelInitializer?: Initializer;
  /** orthogonal unless given. */
  readonly recurrentInitializer?: Initializer;
  readonly biasInitializer?: Initializer;
  readonly kernelRegularizer?: Regularizer;
  readonly recurrentRegularizer?: Regularizer;
  /** Whether the result is the output of every step, [N, steps, units]; else it is that of the last, [N, units]. */
  readonly returnSequences?: boolean;
  /** The size of the input's last axis, where the variables are to be there before the first call. */
  readonly inputs?: number;
}
export interface GatedOptions extends RecurrentOptions {
  /** Of the gates; sigmoid unless given. */
  readonly recurrentActivation?: Activation;
}
export interface LSTMOptions extends GatedOptions {
  /** Whether the bias of the forget gate starts at 1, so that the cell remembers (Jozefowicz et al. 2015); true unless given. */
  readonly unitForgetBias?: boolean;
}
export interface GRUOptions extends GatedOptions {
  /** Whether the reset gate acts after the product with the recurrent kernel, as on GPUs, or before, as in the paper; true unless given. */
  readonly resetAfter?: boolean;
}

export interface RecurrentCallOptions extends CallOptions {
  /** The state before the first step, each part [N, units] and zeros unless given: [h], of an LSTM [h, c]. */
  readonly initialState?: readonly TensorLike[];
}

/** What a step does: the next state, whose first part is the output, from the kernel's part of it and the state. */
type Step = (x: Tensor, state: readonly Tensor[]) => readonly Tensor[];

const common = [
  ...["activation", "useBias", "kernelInitializer", "recurrentInitializer", "biasInitializer", "kernelRegularizer"],
  ...["recurrentRegularizer", "returnSequences", "inputs"],
];

abstract class Recurrent extends Layer {
  readonly units: number;
  kernel: Variable | undefined;
  recurrentKernel: Variable | undefined;
  bias: Variable | undefined;
  protected readonly activation: (x: Tensor) => Tensor;
  private readonly kind: string;
  private readonly options: RecurrentOptions;
  /** How many products with x there are, one after another in the kernel. */
  private readonly gates: number;
  /** How many tensors the state is. */
  private readonly parts: number;

  constructor(
    kind: string,
    units: number,
    options: RecurrentOptions,
    known: readonly string[],
    { gates, parts }: { readonly gates: number; readonly parts: number },
  ) {
    super(kind, options, [...common, ...known]);
    this.units = checkCount(`nn.${kind}`, "units", units);
    this.activation = activationOf(`nn.${kind}`, options.activation ?? "tanh");
    this.kind = kind;
    this.options = options;
    this.gates = gates;
    this.parts = parts;
  }

  /** f32[N, steps, inputs] to [N, units], or [N, steps, units] with `returnSequences`. */
  override call(x: Tensor, options: RecurrentCallOptions = {}): Tensor {
    return this.callWithState(x, options).output;
  }

  /** As `call`, with the state after the last step: the `initialState` of what goes on from there. */
  callWithState(
    x: Tensor,
    options: RecurrentCallOptions = {},
  ): { readonly output: Tensor; readonly state: readonly Tensor[] } {
    checkOptions(this.name, options, ["initialState", "training"]);
    const inputs = x.dims.at(-1);
    if (x.dims.length !== 3)
      throw new ShapeError(`${this.name}: x is ${describe(x)}, and must have 3 axes: samples, steps and features`);
    if (typeof inputs !== "number")
      throw new ShapeError(`${this.name}: the size of the last axis of x, ${describe(x)}, must be known`);
    const kernel = this.kernel ?? this.make(inputs);
    if (kernel.shape[0] !== inputs)
      throw new ShapeError(`${this.name}: x is ${describe(x)}, but the layer takes ${kernel.shape[0]} inputs`);
    const init = this.firstState(x, options.initialState);
    const { returnSequences = false } = this.options;
    return this.named(() => {
      const step = this.step(this.recurrentKernel!.value, this.bias?.value);
      const [state, outputs] = scan(
        (carry, row) => {
          const next = step(row, carry);
          return [next, returnSequences ? next[0]! : null];
        },
        init,
        this.project(x.swapAxes(0, 1), kernel, this.bias),
      ) as [readonly Tensor[], Tensor | null];
      return { output: outputs === null ? state[0]! : outputs.swapAxes(0, 1), state };
    });
  }

  /** The part of all steps that only x has a say in: [steps, N, gates * units]. */
  protected project(x: Tensor, kernel: Variable, bias: Variable | undefined): Tensor {
    const product = x.matmul(kernel);
    return bias === undefined ? product : product.add(bias);
  }

  protected abstract step(recurrentKernel: Tensor, bias: Tensor | undefined): Step;

  /** The shape of the bias, and its first value. */
  protected biasOf(init: Initializer): { readonly shape: readonly number[]; readonly init: Initializer } {
    return { shape: [this.gates * this.units], init };
  }

  /** Makes the variables where the options say how many inputs there are. The last thing that a constructor does. */
  protected begin(): void {
    const { inputs } = this.options;
    if (inputs !== undefined) this.make(checkCount(`nn.${this.kind}`, "inputs", inputs));
  }

  protected override unbuilt(): string | undefined {
    return this.kernel === undefined ? "how many inputs it has is known when it is called" : undefined;
  }

  private make(inputs: number): Variable {
    const {
      useBias = true,
      kernelInitializer = glorotUniform,
      recurrentInitializer = orthogonal(),
      biasInitializer = zeros,
      kernelRegularizer,
      recurrentRegularizer,
    } = this.options;
    const width = this.gates * this.units;
    const kernel = this.parameter("kernel", [inputs, width], kernelInitializer, { regularizer: kernelRegularizer });
    this.kernel = kernel;
    this.recurrentKernel = this.parameter("recurrentKernel", [this.units, width], recurrentInitializer, {
      regularizer: recurrentRegularizer,
    });
    if (useBias) {
      const { shape, init } = this.biasOf(biasInitializer);
      this.bias = this.parameter("bias", shape, init);
    }
    return kernel;
  }

  private firstState(x: Tensor, given: readonly TensorLike[] | undefined): readonly Tensor[] {
    const samples = x.dims[0]!;
    if (given === undefined) return Array.from({ length: this.parts }, () => zeroTensor([samples, this.units]));
    if (!Array.isArray(given) || given.length !== this.parts)
      throw new SinterError(
        `${this.name}: initialState must be ${this.parts === 1 ? "[h]" : "[h, c]"}, not ${describeValue(given)}`,
      );
    return given.map((part: TensorLike, i) => {
      const state = part instanceof Variable ? part.value : tensor(part);
      if (state.dims.length !== 2 || state.dims[0] !== samples || state.dims[1] !== this.units)
        throw new ShapeError(
          `${this.name}: initialState[${i}] is ${describe(state)}, but x is ${describe(x)} and there are ${this.units} units: it must be [samples, ${this.units}]`,
        );
      return state;
    });
  }
}

/** h' = activation(x W + h R + b): kernel W [inputs, units], recurrentKernel R [units, units] (Elman 1990). */
export class SimpleRNN extends Recurrent {
  constructor(units: number, options: RecurrentOptions = {}) {
    super("SimpleRNN", units, options, [], { gates: 1, parts: 1 });
    this.begin();
  }

  protected override step(recurrentKernel: Tensor): Step {
    return (x, [h]) => [this.activation(x.add(h!.matmul(recurrentKernel)))];
  }
}

/**
 * Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000). The columns of kernel
 * [inputs, 4 * units], recurrentKernel [units, 4 * units] and bias [4 * units] are, as in Keras, those of the input gate i,
 * the forget gate f, the candidate g and the output gate o: c' = f c + i g, h' = o activation(c').
 */
export class LSTM extends Recurrent {
  private readonly gate: (x: Tensor) => Tensor;
  private readonly unitForgetBias: boolean;

  constructor(units: number, options: LSTMOptions = {}) {
    super("LSTM", units, options, ["recurrentActivation", "unitForgetBias"], { gates: 4, parts: 2 });
    this.gate = activationOf("nn.LSTM", options.recurrentActivation ?? "sigmoid");
    this.unitForgetBias = options.unitForgetBias ?? true;
    this.begin();
  }

  protected override step(recurrentKernel: Tensor): Step {
    return (x, [h, c]) => {
      const [i, f, g, o] = split(x.add(h!.matmul(recurrentKernel)), 4, -1);
      const cell = this.gate(f!)
        .mul(c!)
        .add(this.gate(i!).mul(this.activation(g!)));
      return [this.gate(o!).mul(this.activation(cell)), cell];
    };
  }

  protected override biasOf(init: Initializer): { readonly shape: readonly number[]; readonly init: Initializer } {
    const { units } = this;
    if (!this.unitForgetBias) return super.biasOf(init);
    const remembering: Initializer = (key, shape, dtype) => init(key, shape, dtype).set([[units, 2 * units]], 1);
    return { shape: [4 * units], init: remembering };
  }
}

/**
 * The gated recurrent unit (Cho et al. 2014). The columns of kernel [inputs, 3 * units] and recurrentKernel [units, 3 * units]
 * are, as in Keras, those of the update gate z, the reset gate r and the candidate g: h' = z h + (1 - z) g. With `resetAfter`
 * the bias is [2, 3 * units], that of the kernel and that of the recurrent kernel, and g = activation(x W + b0 + r (h R + b1));
 * else it is [3 * units], and g = activation(x W + b + (r h) R).
 */
export class GRU extends Recurrent {
  private readonly gate: (x: Tensor) => Tensor;
  private readonly resetAfter: boolean;

  constructor(units: number, options: GRUOptions = {}) {
    super("GRU", units, options, ["recurrentActivation", "resetAfter"], { gates: 3, parts: 1 });
    this.gate = activationOf("nn.GRU", options.recurrentActivation ?? "sigmoid");
    this.resetAfter = options.resetAfter ?? true;
    this.begin();
  }

  protected override project(x: Tensor, kernel: Variable, bias: Variable | undefined): Tensor {
    const product = x.matmul(kernel);
    if (bias === undefined) return product;
    return product.add(this.resetAfter ? bias.value.at(0) : bias);
  }

  protected override step(recurrentKernel: Tensor, bias: Tensor | undefined): Step {
    const { units } = this;
    if (this.resetAfter) {
      const shift = bias?.at(1);
      return (x, [h]) => {
        const product = h!.matmul(recurrentKernel);
        const [rz, rr, rg] = split(shift === undefined ? product : product.add(shift), 3, -1);
        const [xz, xr, xg] = split(x, 3, -1);
        const [z, r] = [this.gate(xz!.add(rz!)), this.gate(xr!.add(rr!))];
        return [mixed(z, h!, this.activation(xg!.add(r.mul(rg!))))];
      };
    }
    const [gates, candidate] = split(recurrentKernel, [2 * units, units], -1);
    return (x, [h]) => {
      const [xz, xr, xg] = split(x, 3, -1);
      const [rz, rr] = split(h!.matmul(gates!), 2, -1);
      const [z, r] = [this.gate(xz!.add(rz!)), this.gate(xr!.add(rr!))];
      return [mixed(z, h!, this.activation(xg!.add(r.mul(h!).matmul(candidate!))))];
    };
  }

  protected override biasOf(init: Initializer): { readonly shape: readonly number[]; readonly init: Initializer } {
    return { shape: this.resetAfter ? [2, 3 * this.units] : [3 * this.units], init };
  }
}

/** z a + (1 - z) b. */
function mixed(z: Tensor, a: Tensor, b: Tensor): Tensor {
  return b.add(z.mul(a.sub(b)));
}
