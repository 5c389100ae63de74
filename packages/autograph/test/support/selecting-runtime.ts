/**
 * What transformed code calls, on plain numbers, in the manner of a trace: under a condition that is a `Value`, both
 * branches run, the state they leave is merged by the condition, and what counts as dead is put back. So a variable
 * missing from a state list, or wrongly taken for dead, shows as a wrong result without any compiler.
 */

/** A stand-in for a tensor: a number or boolean that JavaScript's operators must not see. */
export class Value {
  readonly value: number | boolean;

  constructor(value: number | boolean) {
    this.value = value;
  }

  add(x: Like): Value {
    return new Value(num(this) + num(x));
  }
  sub(x: Like): Value {
    return new Value(num(this) - num(x));
  }
  mul(x: Like): Value {
    return new Value(num(this) * num(x));
  }
  gt(x: Like): Value {
    return new Value(num(this) > num(x));
  }
  lt(x: Like): Value {
    return new Value(num(this) < num(x));
  }
  [Symbol.toPrimitive](): never {
    throw new Error("a Value was used as a number");
  }
}

export type Like = Value | number | boolean;

/** The plain value. */
export function raw(x: unknown): number | boolean {
  return x instanceof Value ? x.value : (x as number | boolean);
}

function num(x: unknown): number {
  return Number(raw(x));
}

type Get = () => unknown[];
type Set = (values: unknown[]) => void;

function merge(condition: boolean, a: unknown, b: unknown): unknown {
  if (Object.is(a, b)) return a;
  const taken = condition ? a : b;
  const isNumber = typeof taken === "number" || typeof taken === "boolean";
  return isNumber ? new Value(taken) : taken;
}

export const U = Object.freeze({ undefined: true });
export const abi = 1;
export const locs = (_file: string, positions: unknown[]): unknown[] => positions;

export function if_(
  _loc: unknown,
  c: unknown,
  then: () => void,
  otherwise: (() => void) | null,
  get: Get,
  set: Set,
  names: string[],
  live: number,
): void {
  if (!(c instanceof Value)) {
    if (raw(c)) then();
    else otherwise?.();
    return;
  }
  const before = get();
  then();
  const a = get();
  set([...before]);
  otherwise?.();
  const b = get();
  set(names.map((_, i) => (i < live ? merge(c.value === true, a[i], b[i]) : before[i])));
}

export function while_(
  loc: unknown,
  test: () => unknown,
  body: () => void,
  get: Get,
  set: Set,
  names: string[],
  live: number,
): void {
  let staged: unknown[] | undefined;
  for (let rounds = 0; ; rounds++) {
    const c = test();
    if (rounds > 5000) throw new Error("endless");
    if (staged === undefined && !(c instanceof Value)) {
      if (!raw(c)) return;
      body();
      continue;
    }
    // Numbers that are carried become values; what is dead is as it was before the loop.
    staged ??= get();
    const first = staged;
    set(get().map((x, i) => (i < live ? lift(x) : first[i])));
    if (raw(c) !== true) {
      // Both ways are traced: what the body would do is undone.
      if_(loc, new Value(false), body, null, get, set, names, live);
      return;
    }
    body();
    set(get().map((x, i) => (i < live ? x : first[i])));
  }
}

const lift = (x: unknown): unknown => (typeof x === "number" || typeof x === "boolean" ? new Value(x) : x);

export function doWhile_(
  loc: unknown,
  body: () => void,
  test: () => unknown,
  get: Get,
  set: Set,
  names: string[],
  live: number,
): void {
  body();
  while_(loc, test, body, get, set, names, live);
}

export function for_(
  loc: unknown,
  init: () => unknown[],
  test: (...v: unknown[]) => unknown,
  update: (...v: unknown[]) => unknown[],
  body: (...v: unknown[]) => unknown[],
  get: Get,
  set: Set,
  names: string[],
  live: number,
  vars: string[],
  _rollable: boolean,
  exits?: () => unknown,
): void {
  let v = init();
  while_(
    loc,
    () => (exits === undefined ? test(...v) : and(loc, exits(), () => test(...v))),
    () => {
      v = update(...body(...v));
    },
    () => [...v, ...get()],
    (s) => {
      v = s.slice(0, vars.length);
      set(s.slice(vars.length));
    },
    [...vars, ...names],
    live + vars.length,
  );
}

export function forOf_(
  loc: unknown,
  items: Iterable<unknown>,
  body: (item: unknown) => void,
  exits: (() => unknown) | null,
  get: Get,
  set: Set,
  names: string[],
  live: number,
): void {
  const list = [...items];
  let i = 0;
  while_(
    loc,
    () => and(loc, new Value(i < list.length), () => exits?.() ?? true),
    () => body(list[i++]),
    get,
    set,
    names,
    live,
  );
}

export function cond_(_loc: unknown, c: unknown, then: () => unknown, otherwise: () => unknown): unknown {
  if (!(c instanceof Value)) return raw(c) ? then() : otherwise();
  const a = then();
  return merge(c.value === true, a, otherwise());
}

export function and(_loc: unknown, a: unknown, b: () => unknown): unknown {
  return a instanceof Value ? (a.value ? new Value(Boolean(raw(b()))) : a) : raw(a) ? b() : a;
}

export function or(_loc: unknown, a: unknown, b: () => unknown): unknown {
  return a instanceof Value ? (a.value ? a : new Value(Boolean(raw(b())))) : raw(a) ? a : b();
}

export function not(_loc: unknown, a: unknown): unknown {
  return a instanceof Value ? new Value(!a.value) : !raw(a);
}

export function none(...flags: unknown[]): unknown {
  if (flags.some((f) => f === true)) return false;
  return flags.some((f) => f instanceof Value) ? new Value(flags.every((f) => !raw(f))) : true;
}

export function ret(_loc: unknown, returned: unknown, value: unknown): unknown {
  return raw(returned) ? value : undefined;
}

export function exit(_loc: unknown, open: unknown, rounds: number): boolean {
  if (rounds > 5000) throw new Error("endless");
  return open === false;
}

export function throw_(_loc: unknown, error: () => unknown): void {
  throw error();
}

export function bool(_loc: unknown, why: string, value: unknown): unknown {
  if (value instanceof Value) throw new Error(`a Value as a plain condition: ${why}`);
  return value;
}

function lifted(f: (a: never, b: never) => number | boolean): (a: unknown, b?: unknown) => unknown {
  return (a, b) => {
    const plain = f(raw(a) as never, raw(b) as never);
    return a instanceof Value || b instanceof Value ? new Value(plain) : plain;
  };
}

export const add = lifted((a: number, b: number) => a + b);
export const sub = lifted((a: number, b: number) => a - b);
export const mul = lifted((a: number, b: number) => a * b);
export const div = lifted((a: number, b: number) => a / b);
export const mod = lifted((a: number, b: number) => a % b);
export const pow = lifted((a: number, b: number) => a ** b);
export const lt = lifted((a: number, b: number) => a < b);
export const le = lifted((a: number, b: number) => a <= b);
export const gt = lifted((a: number, b: number) => a > b);
export const ge = lifted((a: number, b: number) => a >= b);
export const eq = lifted((a: number, b: number) => a === b);
export const ne = lifted((a: number, b: number) => a !== b);
export const neg = lifted((a: number) => -a);
export const plus = lifted((a: number) => +a);
export const inc = lifted((a: number) => a + 1);
export const dec = lifted((a: number) => a - 1);
export const at = (_loc: unknown, value: unknown): unknown => value;
export const compiled = (loc: unknown, captures: () => unknown[], names: string[]): unknown => ({
  loc,
  captures,
  names,
});
