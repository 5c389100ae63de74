// What the names of a structured program mean when it runs as the JavaScript that it is: tensors are numbers in objects
// with the same methods, rounded to float32, and comparisons give real booleans.

/** A scalar, with its derivative with respect to whatever input was given the tangent 1. */
export class Num {
  readonly value: number;
  readonly tangent: number;

  constructor(value: number, tangent = 0) {
    this.value = Math.fround(value);
    this.tangent = tangent;
  }

  add(other: Operand): Num {
    return new Num(this.value + numberOf(other), this.tangent + tangentOf(other));
  }
  sub(other: Operand): Num {
    return new Num(this.value - numberOf(other), this.tangent - tangentOf(other));
  }
  mul(other: Operand): Num {
    return new Num(this.value * numberOf(other), this.tangent * numberOf(other) + this.value * tangentOf(other));
  }
  neg(): Num {
    return new Num(-this.value, -this.tangent);
  }
  abs(): Num {
    return new Num(Math.abs(this.value), this.tangent * Math.sign(this.value));
  }
  floor(): Num {
    return new Num(Math.floor(this.value));
  }
  minimum(other: Operand): Num {
    return this.lt(other) ? this : this.gt(other) ? numOf(other) : this.tied(other);
  }
  maximum(other: Operand): Num {
    return this.gt(other) ? this : this.lt(other) ? numOf(other) : this.tied(other);
  }
  private tied(other: Operand): Num {
    return new Num(this.value, (this.tangent + tangentOf(other)) / 2);
  }
  clip(low: number, high: number): Num {
    return this.value < low ? new Num(low) : this.value > high ? new Num(high) : this;
  }
  gt(other: Operand): boolean {
    return this.value > numberOf(other);
  }
  lt(other: Operand): boolean {
    return this.value < numberOf(other);
  }
  ge(other: Operand): boolean {
    return this.value >= numberOf(other);
  }
  le(other: Operand): boolean {
    return this.value <= numberOf(other);
  }
  eq(other: Operand): boolean {
    return this.value === numberOf(other);
  }
  ne(other: Operand): boolean {
    return this.value !== numberOf(other);
  }
  broadcastTo(shape: readonly number[]): Vec {
    return new Vec(Array.from({ length: shape[0]! }, () => this));
  }
  valueOf(): number {
    return this.value;
  }
}

export type Operand = Num | number;

function numberOf(operand: Operand): number {
  return typeof operand === "number" ? Math.fround(operand) : operand.value;
}

function tangentOf(operand: Operand): number {
  return typeof operand === "number" ? 0 : operand.tangent;
}

function numOf(operand: Operand): Num {
  return typeof operand === "number" ? new Num(operand) : operand;
}

/** A row of scalars. */
export class Vec {
  readonly items: readonly Num[];

  constructor(items: readonly Num[]) {
    this.items = items;
  }

  private map(compute: (item: Num) => Num): Vec {
    return new Vec(this.items.map(compute));
  }
  private test(compute: (item: Num) => boolean): Mask {
    return new Mask(this.items.map(compute));
  }
  add(other: Operand): Vec {
    return this.map((item) => item.add(other));
  }
  mul(other: Operand): Vec {
    return this.map((item) => item.mul(other));
  }
  clip(low: number, high: number): Vec {
    return this.map((item) => item.clip(low, high));
  }
  gt(other: Operand): Mask {
    return this.test((item) => item.gt(other));
  }
  lt(other: Operand): Mask {
    return this.test((item) => item.lt(other));
  }
  ge(other: Operand): Mask {
    return this.test((item) => item.ge(other));
  }
  le(other: Operand): Mask {
    return this.test((item) => item.le(other));
  }
  eq(other: Operand): Mask {
    return this.test((item) => item.eq(other));
  }
  ne(other: Operand): Mask {
    return this.test((item) => item.ne(other));
  }
  sum(): Num {
    return this.items.reduce((sum, item) => sum.add(item));
  }
  max(): Num {
    return this.items.reduce((most, item) => most.maximum(item));
  }
  [Symbol.iterator](): Iterator<Num> {
    return this.items[Symbol.iterator]();
  }
}

/** A row of booleans: never a condition by itself. */
export class Mask {
  readonly items: readonly boolean[];

  constructor(items: readonly boolean[]) {
    this.items = items;
  }

  any(): boolean {
    return this.items.includes(true);
  }
  all(): boolean {
    return !this.items.includes(false);
  }
}

/** What `import ... from "sinter"` gives a program that runs natively. */
/** What programs have printed. */
export const nativeLog: string[] = [];

export const nativeModule = {
  compile: <F>(fn: F): F => fn,
  print(format: string, ...values: readonly unknown[]): void {
    const texts = values.map((value) => String(value instanceof Num ? value.value : value));
    nativeLog.push(format.split("{}").reduce((text, piece, i) => `${text}${texts[i - 1]}${piece}`));
  },
  where: (condition: boolean | Mask, a: Num | Vec, b: Num | Vec): Num | Vec =>
    condition instanceof Mask
      ? new Vec(condition.items.map((holds, i) => ((holds ? a : b) as Vec).items[i]!))
      : condition
        ? a
        : b,
  *range(startOrStop: number, stop?: number): Iterable<number> {
    for (let i = stop === undefined ? 0 : startOrStop; i < (stop ?? startOrStop); i++) yield i;
  },
};
