/**
 * What every optimiser is: a rule for one variable, applied to all, with its state in variables. So a compiled step has
 * the whole update in its program, a new learning rate is an assignment, and a checkpoint holds all there is.
 */
import {
  DTypeError,
  ShapeError,
  SinterError,
  type Tensor,
  tensor,
  type Variable,
  variable,
  zeros,
} from "@sinter/tracer";
import { checkOptions, describe, describeValue } from "@sinter/tracer/errors";
import { Module } from "../module.ts";
import type { Schedule } from "./schedules.ts";

export interface OptimizerOptions {
  /** A number, which `optimizer.learningRate.assign` changes at any time, or a schedule. */
  readonly learningRate?: number | Schedule;
}

/** One step for one variable. `slots` are what the rule remembers of it, tensors of the variable's shape. */
export interface Update<Slot extends string> {
  readonly value: Tensor;
  readonly gradient: Tensor;
  readonly slots: Readonly<Record<Slot, Tensor>>;
  /** The learning rate, a scalar. */
  readonly rate: Tensor;
  /** Which step this is, from 1 on, a scalar. */
  readonly step: Tensor;
}

/** A method of optimisation. */
export interface Rule<Slot extends string = string> {
  readonly name: string;
  /** What is remembered of each variable, and what it starts as. */
  readonly slots: Readonly<Record<Slot, number>>;
  update(at: Update<Slot>): { readonly value: Tensor; readonly slots: Readonly<Record<Slot, Tensor>> };
}

export class Optimizer extends Module {
  readonly name: string;
  /** The learning rate, where it follows no schedule. */
  readonly learningRate: Variable;
  /** How many steps were made. */
  readonly step: Variable;
  /** By name: one for each variable, in their order. */
  readonly slots: Record<string, Variable[]> = {};
  private readonly rule: Rule;
  private readonly schedule: Schedule | undefined;
  private readonly trained: Set<Variable> = new Set();

  constructor(rule: Rule, learningRate: number | Schedule) {
    super();
    const fits = typeof learningRate === "function" || (Number.isFinite(learningRate) && learningRate >= 0);
    if (!fits)
      throw new SinterError(
        `optim.${rule.name}: learningRate must be a number from 0 on or a schedule, not ${describeValue(learningRate)}`,
      );
    this.name = rule.name;
    this.rule = rule;
    this.schedule = typeof learningRate === "function" ? learningRate : undefined;
    const first = typeof learningRate === "function" ? 0 : learningRate;
    this.learningRate = variable(tensor(first, { dtype: "f32" }), {
      name: `${rule.name}.learningRate`,
      trainable: false,
    });
    this.step = variable(tensor(0, { dtype: "i32" }), { name: `${rule.name}.step`, trainable: false });
  }

  /** Makes what is remembered of these variables, where it is not there yet: `apply` does it at its first call. */
  prepare(variables: readonly Variable[]): this {
    if (this.trained.size > 0) return this;
    for (const each of variables) this.trained.add(each);
    for (const [slot, start] of Object.entries(this.rule.slots))
      this.slots[slot] = variables.map((each) =>
        variable(zeros(each.shape, each.dtype).add(start), {
          name: `${this.name}.${slot}.${each.name}`,
          trainable: false,
        }),
      );
    return this;
  }

  /**
   * One step: changes `variables` by their gradients, which are in the same order. The variables of the first call are those
   * of every call. Throws where they are others, or a gradient is of another type than its variable.
   */
  apply(gradients: readonly Tensor[], variables: readonly Variable[]): void {
    const caller = `optim.${this.name}: apply`;
    if (gradients.length !== variables.length)
      throw new SinterError(`${caller}: there are ${gradients.length} gradients for ${variables.length} variables`);
    if (new Set(variables).size < variables.length) throw new SinterError(`${caller}: a variable is there twice`);
    for (const [i, each] of variables.entries()) {
      const gradient = gradients[i]!;
      const [own, wanted] = [describe(gradient), describe(each)];
      if (!each.dtype.startsWith("f"))
        throw new DTypeError(`${caller}: ${each.name} is ${wanted}, and only floats can be trained`);
      if (own !== wanted)
        throw new ShapeError(`${caller}: the gradient of ${each.name} is ${own}, the variable ${wanted}`);
    }
    this.prepare(variables);
    const known = [...this.trained];
    if (known.length !== variables.length || known.some((each, i) => each !== variables[i]))
      throw new SinterError(
        `${caller}: the variables are not those of the first call (${names(known)}), but ${names(variables)}; make one optimiser for each set`,
      );
    this.step.assignAdd(1);
    const step = this.step.value.cast("f32");
    const rate = this.schedule === undefined ? this.learningRate.value : this.schedule(step);
    for (const [i, each] of variables.entries()) {
      const [own, at] = each.dtype === "f32" ? [rate, step] : [rate.cast(each.dtype), step.cast(each.dtype)];
      const slots = Object.fromEntries(Object.entries(this.slots).map(([slot, all]) => [slot, all[i]!.value]));
      const next = this.rule.update({ value: each.value, gradient: gradients[i]!, slots, rate: own, step: at });
      each.assign(next.value);
      for (const [slot, value] of Object.entries(next.slots)) this.slots[slot]![i]!.assign(value);
    }
  }

  /** Whether the learning rate follows a schedule, and `learningRate` is not used. */
  get isScheduled(): boolean {
    return this.schedule !== undefined;
  }

  /** The learning rate that the next step takes, a scalar. */
  get currentRate(): Tensor {
    return this.schedule === undefined ? this.learningRate.value : this.schedule(this.step.value.cast("f32").add(1));
  }
}

/** An optimiser of a rule, with its options checked: numbers within their bounds. */
export function optimizer<Slot extends string>(
  rule: Rule<Slot>,
  learningRate: number | Schedule,
  options: OptimizerOptions,
  numbers: Readonly<Record<string, readonly [value: number, low: number, high: number]>> = {},
  flags: readonly string[] = [],
): Optimizer {
  checkOptions(`optim.${rule.name}`, options, ["learningRate", ...Object.keys(numbers), ...flags]);
  for (const [name, [value, low, high]] of Object.entries(numbers))
    if (!(typeof value === "number" && value >= low && value <= high))
      throw new SinterError(`optim.${rule.name}: ${name} must be from ${low} to ${high}, not ${describeValue(value)}`);
  return new Optimizer(rule as unknown as Rule, learningRate);
}

function names(variables: readonly Variable[]): string {
  const shown = variables.slice(0, 4).map(({ name }) => name);
  return `${shown.join(", ")}${variables.length > 4 ? `, ... (${variables.length})` : ""}`;
}
