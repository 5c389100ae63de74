// Random expressions of the structured programs: tensors, vectors, numbers and conditions over what is in scope.
import type { Rng } from "@sinter/ir";

/** What a statement may use. Lists without "fixed" can be assigned to. */
export interface Scope {
  readonly tensors: string[];
  readonly vectors: string[];
  readonly numbers: string[];
  readonly flags: string[];
  readonly masks: string[];
  readonly fixedTensors: string[];
  readonly fixedNumbers: string[];
  readonly fixedFlags: string[];
  /** Local functions of a tensor that write variables. */
  readonly actions: string[];
  /** Local functions from a tensor to a tensor. */
  readonly functions: string[];
  /** Labels of the loops around, innermost last. */
  readonly loops: string[];
  readonly depth: number;
}

export interface Names {
  next: number;
}

export function fresh(names: Names, prefix: string): string {
  return `${prefix}${names.next++}`;
}

export class Expressions {
  private readonly rng: Rng;

  private readonly comparisons: boolean;

  constructor(rng: Rng, comparisons: boolean) {
    this.rng = rng;
    this.comparisons = comparisons;
  }

  /** A rank-0 tensor between -64 and 64, a multiple of 1/2. */
  tensor(scope: Scope, depth: number): string {
    const { rng } = this;
    const variable = (): string => rng.pick([...scope.tensors, ...scope.fixedTensors]);
    if (depth <= 0) return variable();
    const deeper = (): string => this.tensor(scope, depth - 1);
    switch (rng.int(0, 17)) {
      case 0:
      case 1:
        return `${deeper()}.add(${rng.pick(["1", "0.5", "-2", "3"])})`;
      case 2:
        return `${deeper()}.add(${deeper()}).clip(-64, 64)`;
      case 3:
        return `${deeper()}.sub(${variable()}).clip(-64, 64)`;
      case 4:
        return `${deeper()}.mul(${rng.pick(["2", "-1", "3"])}).clip(-64, 64)`;
      case 5:
        return `${deeper()}.mul(0.5).floor()`;
      case 6:
        return `${deeper()}.neg()`;
      case 7:
        return `${deeper()}.minimum(${variable()})`;
      case 8:
        return `${deeper()}.maximum(${variable()})`;
      case 9:
        return `${deeper()}.abs()`;
      case 10:
      case 11:
        return `${deeper()}.add(${this.number(scope, 0)}).clip(-64, 64)`;
      case 12:
        return `(${this.condition(scope, 1)} ? ${deeper()} : ${deeper()})`;
      case 13:
        return `${this.vector(scope, depth - 1)}.sum().clip(-64, 64)`;
      case 14:
        return `${this.vector(scope, depth - 1)}.max()`;
      case 15:
        return `where(${variable()}.${this.comparison()}(${this.constant()}), ${deeper()}, ${deeper()})`;
      case 16:
        return scope.functions.length > 0 ? `${rng.pick(scope.functions)}(${deeper()})` : variable();
      default:
        return variable();
    }
  }

  /** A tensor of 3 elements in the same range. */
  vector(scope: Scope, depth: number): string {
    const { rng } = this;
    const variable = (): string => rng.pick(scope.vectors);
    if (scope.vectors.length === 0) return `${this.tensor(scope, 0)}.broadcastTo([3])`;
    if (depth <= 0) return variable();
    const deeper = (): string => this.vector(scope, depth - 1);
    switch (rng.int(0, 5)) {
      case 0:
        return `${deeper()}.add(${this.tensor(scope, 0)}).clip(-64, 64)`;
      case 1:
        return `${deeper()}.mul(${rng.pick(["-1", "2"])}).clip(-64, 64)`;
      case 2:
        return `where(${deeper()}.${this.comparison()}(${this.constant()}), ${deeper()}, ${variable()})`;
      case 3:
        return `${deeper()}.add(${this.number(scope, 0)}).clip(-64, 64)`;
      case 4:
        return `(${this.condition(scope, 0)} ? ${deeper()} : ${variable()})`;
      default:
        return variable();
    }
  }

  /** Sums of two variables go through `%`, so that counters stay small. */
  number(scope: Scope, depth: number): string {
    const { rng } = this;
    const all = [...scope.numbers, ...scope.fixedNumbers];
    const variable = (): string => (all.length === 0 ? String(rng.int(-2, 4)) : rng.pick(all));
    if (depth <= 0) return variable();
    switch (rng.int(0, 7)) {
      case 0:
        return `${variable()} + ${rng.pick(["1", "2", "0.5"])}`;
      case 1:
        return `${variable()} - 1`;
      case 2:
        return `(${variable()} + ${variable()}) % ${rng.int(5, 13)}`;
      case 3:
        return `${variable()} * 3 % 11`;
      case 4:
        return `(${this.condition(scope, 0)} ? ${this.number(scope, depth - 1)} : ${variable()})`;
      case 5:
        return `-${variable()}`;
      case 6:
        return `(${variable()} - ${variable()}) % 8`;
      default:
        return rng.pick(["0", "1", "2", "-1"]);
    }
  }

  numberAssignment(scope: Scope): string {
    const { rng } = this;
    const target = rng.pick(scope.numbers);
    switch (rng.int(0, 4)) {
      case 0:
        return `${target}++;`;
      case 1:
        return `${target}--;`;
      case 2:
        return `${target} ${rng.pick(["+=", "-="])} ${rng.pick(["1", "2", "0.5"])};`;
      default:
        return `${target} = ${this.number(scope, 1)};`;
    }
  }

  condition(scope: Scope, depth: number): string {
    const { rng } = this;
    if (depth > 0) {
      const deeper = (): string => this.condition(scope, depth - 1);
      switch (rng.int(0, 11)) {
        case 0:
        case 1:
          return `(${deeper()} && ${deeper()})`;
        case 2:
        case 3:
          return `(${deeper()} || ${deeper()})`;
        case 4:
          return `!${this.parenthesised(deeper())}`;
        case 5:
          return `(${deeper()} ? ${deeper()} : ${deeper()})`;
        default:
      }
    }
    switch (rng.int(0, 11)) {
      case 0:
      case 1:
        return this.plainlyBoolean(scope, 0);
      case 2:
        return scope.masks.length > 0 ? rng.pick(scope.masks) : this.compared(scope);
      case 3:
        return `${this.vector(scope, 0)}.${this.comparison()}(${this.constant()}).${rng.pick(["any", "all"])}()`;
      case 4:
        if (!this.comparisons) return this.compared(scope);
        return `${rng.pick(scope.tensors)} ${rng.pick(["<", ">", "<=", ">="])} ${rng.pick([...scope.tensors, ...scope.fixedTensors])}`;
      default:
        return this.compared(scope);
    }
  }

  /** Of static type boolean: what a flag may be assigned. */
  plainlyBoolean(scope: Scope, depth: number): string {
    const { rng } = this;
    const flags = [...scope.flags, ...scope.fixedFlags];
    const kind = rng.int(0, depth > 0 ? 3 : 2);
    if (kind === 0 && flags.length > 0) return rng.pick(flags);
    if (kind === 3) return `!${this.parenthesised(this.condition(scope, depth - 1))}`;
    const a = this.number(scope, 0);
    if (rng.int(0, 3) === 0) return `${a} % 2 === 0`;
    return `${a} ${rng.pick(["<", ">", "<=", ">=", "===", "!=="])} ${rng.bool() ? rng.int(-1, 4) : this.number(scope, 0)}`;
  }

  private compared(scope: Scope): string {
    const { rng } = this;
    const right = rng.int(0, 3) === 0 ? this.tensor(scope, 0) : this.constant();
    return `${this.tensor(scope, rng.int(0, 1))}.${this.comparison()}(${right})`;
  }

  private comparison(): string {
    return this.rng.pick(["gt", "lt", "ge", "le", "eq", "ne"]);
  }

  private constant(): string {
    return this.rng.pick(["0", "1", "-1", "2.5", "4", "-3"]);
  }

  private parenthesised(condition: string): string {
    return condition.startsWith("(") ? condition : `(${condition})`;
  }
}
