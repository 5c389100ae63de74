// Loops of elements against the reference evaluation of the loops over tensors that they were, as nests, as loops and as
// wasm: alone, with what makes and what uses their values in one kernel, in reductions, and random ones.
import {
  Builder,
  type DType,
  emit,
  evalGraph,
  type Graph,
  type HostTensor,
  isFloat,
  type Rng,
  tensorType,
  typeOf,
  type Value,
} from "@sinter/ir";
import { findElementLoops, simplify, vmapInto } from "@sinter/passes";
import { describe, expect, test } from "vitest";
import { checkForms } from "./support/check-forms.ts";
import { choppedForms, forms, withCompiled } from "./support/compiled.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";
import { randomTensor, seededRng, type Tolerance } from "./support/random.ts";

await alsoOnWebgpu("Loops of elements", { full: 200 });

const out = (value: Value) => ({ kind: "out", value }) as const;
const fused = forms.length - 1;

/** A loop whose regions are made of the values that they take. */
function whileLoop(
  b: Builder,
  captures: readonly Value[],
  init: readonly Value[],
  test: (c: Builder, captures: readonly Value[], carry: readonly Value[]) => Value,
  body: (c: Builder, captures: readonly Value[], carry: readonly Value[]) => readonly Value[],
): readonly Value[] {
  const region = (make: (c: Builder, taken: readonly Value[], carry: readonly Value[]) => readonly Value[]): Graph => {
    const c = new Builder("region");
    const params = [...captures, ...init].map((v, i) => c.param("arg", v.type, `p${i}`));
    return c.finish(make(c, params.slice(0, captures.length), params.slice(captures.length)).map(out));
  };
  const regions = [region((...given) => [test(...given)]), region(body)];
  return b.emitRegion("while", { captures, init }, {}, regions);
}
const anyOf = (b: Builder, mask: Value): Value =>
  emit.reduce(
    b,
    "or",
    mask,
    typeOf(mask).shape.map((_, i) => i),
  );

/** Checks all forms; `kernels`: how many the fused program has. */
function check(graph: Graph, args: readonly HostTensor[], kernels?: number, tolerance?: Tolerance): void {
  const expected = evalGraph(graph, args);
  const found = findElementLoops(simplify(graph), {
    onRefusal: (loop, reason) => expect.fail(`${loop} stays: ${reason}`),
  });
  const options = { expected, ...(tolerance === undefined ? {} : { tolerance }) };
  checkForms(found, args, { ...options, plainSimd: true });
  checkForms(found, args, { ...options, forms: choppedForms });
  if (kernels !== undefined)
    expect(withCompiled(found, forms[fused]!, ({ loops }) => loops.kernels.length)).toBe(kernels);
}

const f32 = (data: readonly number[], shape: readonly number[] = [data.length]): HostTensor => ({
  dtype: "f32",
  shape,
  data: Float32Array.from(data),
});
const spread = (shape: readonly number[], scale: number): HostTensor => {
  const size = shape.reduce((n, d) => n * d, 1);
  return f32(
    Array.from({ length: size }, (_, i) => Math.sin(i * 1.7) * scale),
    shape,
  );
};

/** Where the mask comes from: computed by test and body, carried and set last in a round, or set first. */
type MaskForm = "computed" | "carried" | "set first";

/** The escape times of a grid, with the grid made and the counts scaled in the same graph. */
function mandelbrot(shape: readonly [number, number], rounds: number, form: MaskForm): Graph {
  const carried = form !== "computed";
  const b = new Builder("mandelbrot");
  const grid = (axis: number, lo: number): Value =>
    emit.add(
      b,
      emit.mul(b, emit.iota(b, "f32", shape, axis), b.scalar("f32", 2.6 / shape[axis]!)),
      b.scalar("f32", lo),
    );
  const escapes = (c: Builder, x: Value, y: Value): Value =>
    emit.less(c, emit.add(c, emit.mul(c, x, x), emit.mul(c, y, y)), c.scalar("f32", 4));
  const zero = emit.filled(b, "f32", shape, 0);
  const init = [b.scalar("i32", 0), zero, zero, emit.filled(b, "i32", shape, 0)];
  if (carried) init.push(emit.filled(b, "bool", shape, 1));
  const maskOf = (c: Builder, [, x, y, , alive]: readonly Value[]): Value => (carried ? alive! : escapes(c, x!, y!));
  const results = whileLoop(
    b,
    [grid(1, -2), grid(0, -1.3)],
    init,
    (c, _, carry) => emit.and(c, emit.less(c, carry[0]!, c.scalar("i32", rounds)), anyOf(c, maskOf(c, carry))),
    (c, [cx, cy], carry) => {
      const [k, x, y, count] = carry as [Value, Value, Value, Value];
      const before = maskOf(c, carry);
      const mask = form === "set first" ? emit.and(c, before, escapes(c, x, y)) : before;
      const nx = emit.add(c, emit.sub(c, emit.mul(c, x, x), emit.mul(c, y, y)), cx!);
      const ny = emit.add(c, emit.mul(c, emit.mul(c, x, c.scalar("f32", 2)), y), cy!);
      const one = c.scalar("i32", 1);
      const next = [
        emit.add(c, k, one),
        emit.select(c, mask, nx, x),
        emit.select(c, mask, ny, y),
        emit.select(c, mask, emit.add(c, count, one), count),
      ];
      if (form === "set first") return [...next, mask];
      return carried ? [...next, emit.and(c, mask, escapes(c, nx, ny))] : next;
    },
  );
  return b.finish([out(emit.mul(b, emit.cast(b, results[3]!, "f32"), b.scalar("f32", 0.25)))]);
}

/** Square roots by Newton's method, each to its own accuracy; `dtype` of the roots. */
function roots(shape: readonly number[], dtype: DType, results: readonly number[], limit = 40): Graph {
  const b = new Builder("roots");
  const a = b.param("arg", tensorType(dtype, shape), "a");
  const far = (c: Builder, a: Value, x: Value): Value => {
    const off = c.emit("abs", [emit.sub(c, emit.mul(c, x, x), a)]);
    return emit.greater(c, off, c.scalar(dtype, 1e-3));
  };
  const made = whileLoop(
    b,
    [a],
    [emit.filled(b, dtype, shape, 3), b.scalar("i32", 5)],
    (c, [a], [x, k]) => emit.and(c, anyOf(c, far(c, a!, x!)), emit.less(c, k!, c.scalar("i32", limit))),
    (c, [a], [x, k]) => {
      const next = emit.mul(c, emit.add(c, x!, emit.div(c, a!, x!)), c.scalar(dtype, 0.5));
      return [emit.select(c, far(c, a!, x!), next, x!), emit.add(c, k!, c.scalar("i32", 2))];
    },
  );
  return b.finish(results.map((i) => out(made[i]!)));
}

describe("loops of elements compute what the loops over tensors do", () => {
  test.each([[[3, 5]], [[16, 16]], [[1, 257]], [[9, 4]]] as const)(
    "escape times of a grid of %j, in one kernel with what makes and scales it",
    (shape) => {
      for (const form of ["computed", "carried", "set first"] as const) check(mandelbrot(shape, 12, form), [], 1);
    },
  );

  test.each([[[1]], [[3]], [[4]], [[5]], [[257]], [[2, 3]], [[7, 8]], [[0]]])("roots of %j numbers", (shape) => {
    const positive = spread(shape, 9);
    const a = { ...positive, data: positive.data.map(Math.abs) as Float32Array };
    check(roots(shape, "f32", [0]), [a], 1);
    // The counter after the loop: the rounds of the element that took most.
    check(roots(shape, "f32", [0, 1]), [a]);
    check(roots(shape, "f32", [1]), [a]);
  });

  test("in float64", () => {
    const data = Float64Array.from({ length: 11 }, (_, i) => i * 1.7);
    check(roots([11], "f64", [0, 1]), [{ dtype: "f64", shape: [11], data }]);
  });

  test("on NaN, infinities and negative numbers, up to the limit", () => {
    const a = f32([Number.NaN, 4, Infinity, -1, -Infinity, 0, -0, 2, Number.NaN]);
    check(roots([9], "f32", [0, 1], 19), [a]);
  });

  test("without a round, and without an element that takes part", () => {
    check(roots([6], "f32", [0, 1], 5), [spread([6], 9)]);
    check(roots([3], "f32", [0, 1]), [f32([9, 9, 9])]);
  });

  test("scalars alone", () => {
    const b = new Builder("collatz");
    const n = b.param("arg", tensorType("i32", []), "n");
    const two = (c: Builder): Value => c.scalar("i32", 2);
    const steps = whileLoop(
      b,
      [],
      [n, b.scalar("i32", 0)],
      (c, _, [n]) => emit.greater(c, n!, c.scalar("i32", 1)),
      (c, _, [n, steps]) => {
        const even = emit.equal(c, c.emit("rem", [n!, two(c)]), c.scalar("i32", 0));
        const odd = emit.add(c, emit.mul(c, n!, c.scalar("i32", 3)), c.scalar("i32", 1));
        return [emit.select(c, even, c.emit("div", [n!, two(c)]), odd), emit.add(c, steps!, c.scalar("i32", 1))];
      },
    );
    const graph = b.finish([out(steps[1]!)]);
    for (const n of [1, 2, 27]) check(graph, [{ dtype: "i32", shape: [], data: Int32Array.of(n) }], 1);
    // And many of them at once.
    const many = new Builder("many");
    const all = many.param("arg", tensorType("i32", [9]), "n");
    const { results } = vmapInto(many, graph, [all], [0], 9);
    const data = Int32Array.from({ length: 9 }, (_, i) => 3 * i + 1);
    check(many.finish(results.map(out)), [{ dtype: "i32", shape: [9], data }], 1);
  });

  test("inside a reduction, a row and a padded neighbourhood", () => {
    const shape = [5, 9];
    const graph = (use: (b: Builder, x: Value) => readonly Value[]): Graph => {
      const b = new Builder("used");
      const x = b.param("arg", tensorType("f32", shape), "x");
      const small = (c: Builder, y: Value): Value => emit.less(c, c.emit("abs", [y]), c.scalar("f32", 20));
      // Of zero it would never end.
      const [y] = whileLoop(
        b,
        [],
        [x],
        (c, _, [y]) => anyOf(c, small(c, y!)),
        (c, _, [y]) => [emit.select(c, small(c, y!), emit.mul(c, y!, c.scalar("f32", 2)), y!)],
      );
      return b.finish(use(b, y!).map(out));
    };
    const x = { ...spread(shape, 3), data: spread(shape, 3).data.map((v) => (v === 0 ? 1 : v)) as Float32Array };
    check(
      graph((b, y) => [emit.reduce(b, "max", y, [1])]),
      [x],
    );
    check(
      graph((b, y) => [emit.reduce(b, "max", y, [0])]),
      [x],
    );
    check(
      graph((b, y) => [emit.reduce(b, "min", y, [0, 1])]),
      [x],
    );
    check(
      graph((b, y) => [emit.sub(b, y, emit.broadcastTo(b, emit.reduce(b, "max", y, [1]), shape, [0]))]),
      [x],
    );
    check(
      graph((b, y) => [emit.pad(b, y, b.scalar("f32", 7), [0, 2], [1, 3])]),
      [x],
    );
    check(
      graph((b, y) => [emit.concat(b, [y, emit.reverse(b, y, [1])], 1), emit.shift(b, y, 1, 1, b.scalar("f32", 0))]),
      [x],
    );
    check(
      graph((b, y) => [emit.transpose(b, y, [1, 0]), emit.neg(b, y)]),
      [x],
    );
  });

  test("for the position that an update stores to, with lanes, for one element and for each", () => {
    const b = new Builder("positions");
    const [x, n, y] = [
      b.param("arg", tensorType("f32", [9]), "x"),
      b.param("arg", tensorType("i32", []), "n"),
      b.param("arg", tensorType("i32", [9]), "y"),
    ];
    const one = b.scalar("i32", 1);
    const doubled = (of: Value, least: Value): Value =>
      whileLoop(
        b,
        [least],
        [of],
        (c, [bound], [v]) =>
          typeOf(v!).shape.length === 0 ? emit.less(c, v!, bound!) : anyOf(c, below(c, v!, bound!)),
        (c, [bound], [v]) => [
          typeOf(v!).shape.length === 0
            ? emit.add(c, v!, v!)
            : emit.select(c, below(c, v!, bound!), emit.add(c, v!, v!), v!),
        ],
      )[0]!;
    const below = (c: Builder, v: Value, bound: Value): Value =>
      emit.less(c, v, emit.expandScalar(c, bound, typeOf(v).shape));
    const at = doubled(one, n);
    const window = b.emit("slice", [x], { start: [0], limit: [5], step: [1] });
    const moved = b.emit("dynamicUpdateSlice", [x, window, at]);
    const single = b.emit("scatter", [x, emit.reduce(b, "max", x, [0]), at], { axes: [0], combine: "set" });
    const each = b.emit("scatter", [x, x, doubled(y, n)], { axes: [0], combine: "add" });
    check(b.finish([moved, single, each].map(out)), [
      spread([9], 4),
      { dtype: "i32", shape: [], data: Int32Array.of(4) },
      { dtype: "i32", shape: [9], data: Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 3) },
    ]);
  });

  test("one loop for several results and several users", () => {
    const b = new Builder("several");
    const x = b.param("arg", tensorType("f32", [70]), "x");
    const small = (c: Builder, y: Value): Value => emit.less(c, y, c.scalar("f32", 50));
    const [y, n] = whileLoop(
      b,
      [],
      [emit.add(b, x, b.scalar("f32", 4)), emit.filled(b, "i32", [70], 0)],
      (c, _, [y]) => anyOf(c, small(c, y!)),
      (c, _, [y, n]) => [
        emit.select(c, small(c, y!), emit.mul(c, y!, c.scalar("f32", 1.5)), y!),
        emit.select(c, small(c, y!), emit.add(c, n!, c.scalar("i32", 1)), n!),
      ],
    );
    const graph = b.finish([out(emit.mul(b, y!, y!)), out(emit.cast(b, n!, "f32")), out(emit.neg(b, y!)), out(y!)]);
    check(graph, [spread([70], 3)], 1);
    const found = findElementLoops(simplify(graph));
    const loops = withCompiled(found, forms[fused]!, ({ loops }) =>
      loops.kernels.flatMap((kernel) => kernel.funcs.flatMap((func) => func.body)),
    );
    const whiles = (list: readonly { readonly kind: string; readonly body?: unknown }[]): number =>
      list.reduce((n, s) => n + (s.kind === "while" ? 1 : Array.isArray(s.body) ? whiles(s.body) : 0), 0);
    // Two vectors at a time, one, and the rest of the last.
    expect(whiles(loops as never)).toBeLessThanOrEqual(3);
  });
});

// --- Random loops -------------------------------------------------------------------------------------------------------

const dtypes: readonly DType[] = ["f32", "f32", "f32", "i32", "i32", "u32", "f64", "bool"];

/** A random value of a dtype, out of values at hand, by exact operations on elements. */
function randomValue(b: Builder, rng: Rng, at: readonly Value[], dtype: DType, depth: number): Value {
  const fitting = at.filter((v) => typeOf(v).dtype === dtype);
  if (depth === 0 || rng.int(0, 5) === 0) {
    if (fitting.length > 0 && rng.int(0, 4) > 0) return rng.pick(fitting);
    return b.scalar(dtype, dtype === "bool" ? rng.int(0, 1) : isFloat(dtype) ? rng.real(-2, 2) : rng.int(0, 5));
  }
  const part = (of: DType = dtype): Value => randomValue(b, rng, at, of, depth - 1);
  if (rng.int(0, 5) === 0) return emit.cast(b, part(rng.pick(dtypes)), dtype);
  if (rng.int(0, 5) === 0) return emit.select(b, part("bool"), part(), part());
  if (dtype === "bool") {
    if (rng.bool()) return b.emit(rng.pick(["and", "or", "xor"]), [part(), part()]);
    const of = rng.pick(dtypes.filter((d) => d !== "bool"));
    return b.emit(rng.pick(["lt", "le", "gt", "ge"]), [part(of), part(of)]);
  }
  const op = rng.pick(
    isFloat(dtype) ? ["add", "sub", "mul", "div", "max", "min"] : ["add", "sub", "mul", "max", "min"],
  );
  return b.emit(op, [part(), part()]);
}

/** A loop that stops for each element where its own condition fails, and for all after some rounds. */
function randomLoop(rng: Rng): { readonly graph: Graph; readonly args: readonly HostTensor[] } {
  const shape = rng.int(0, 9) === 0 ? [257] : rng.shape(1, 3);
  const b = new Builder("random");
  const types = Array.from({ length: rng.int(1, 4) }, () =>
    tensorType(rng.pick(dtypes), rng.int(0, 3) === 0 ? [] : shape),
  );
  const params = types.map((type, i) => b.param("arg", type, `a${i}`));
  const args = types.map((type) =>
    randomTensor(rng, {
      type,
      lo: type.dtype === "bool" || type.dtype === "u32" ? 0 : -3,
      hi: type.dtype === "bool" ? 1 : 5,
    }),
  );
  const widen = (c: Builder, x: Value): Value => (typeOf(x).shape.length === 0 ? emit.expandScalar(c, x, shape) : x);
  const carried = Array.from({ length: rng.int(1, 3) }, () =>
    widen(b, randomValue(b, rng, params, rng.pick(dtypes), 2)),
  );
  const alive = rng.bool();
  const first = alive && rng.bool();
  if (alive) carried.push(widen(b, randomValue(b, rng, params, "bool", 2)));
  const counters = [b.scalar("i32", rng.int(0, 2)), ...(rng.bool() ? [b.scalar("f32", rng.real(-1, 1))] : [])];
  const count = counters.length;
  const limit = rng.int(0, 9);
  // Both regions compute the same mask, or carry it; it depends on nothing that all elements share and that changes.
  const seed = rng.int(0, 1e9);
  const maskOf = (c: Builder, taken: readonly Value[], carry: readonly Value[]): Value =>
    alive ? carry.at(-1)! : widen(c, randomValue(c, seededRng(seed), [...taken, ...carry.slice(count)], "bool", 3));
  const results = whileLoop(
    b,
    params,
    [...counters, ...carried],
    (c, taken, carry) => {
      const goes = emit.less(c, carry[0]!, c.scalar("i32", limit));
      return emit.and(c, goes, anyOf(c, maskOf(c, taken, carry)));
    },
    (c, taken, carry) => {
      const before = maskOf(c, taken, carry);
      const mask = first ? emit.and(c, before, randomValue(c, rng, [...taken, ...carry], "bool", 3)) : before;
      const next = carry.slice(count).map((x, i) => {
        if (first && i === carried.length - 1) return mask;
        const value = widen(c, randomValue(c, rng, [...taken, ...carry], typeOf(x).dtype, 3));
        if (alive && i === carried.length - 1) return emit.and(c, mask, value);
        return emit.select(c, mask, value, x);
      });
      const step = emit.add(c, carry[0]!, c.scalar("i32", rng.int(1, 2)));
      return [step, ...(count > 1 ? [emit.mul(c, carry[1]!, c.scalar("f32", 0.75))] : []), ...next];
    },
  );
  const kept = results.filter((_, i) => i >= count || rng.bool());
  const used = kept.map((x) => (rng.int(0, 3) === 0 ? randomValue(b, rng, [x, ...params], typeOf(x).dtype, 2) : x));
  return { graph: b.finish(used.map(out)), args };
}

describe("random loops", () => {
  test("agree with the reference evaluation", () => {
    for (let seed = 0; seed < fuzzRuns(60); seed++) {
      const { graph, args } = randomLoop(seededRng(seed));
      try {
        check(graph, args);
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
  }, 300_000);
});
