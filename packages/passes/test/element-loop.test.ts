// Which loops become loops of elements, and why others do not.
import {
  Builder,
  type DType,
  emit,
  type Graph,
  parseGraph,
  printGraph,
  tensorType,
  typeText,
  type Value,
  verifyGraph,
} from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { findElementLoops, simplify, vmapInto } from "../src/index.ts";

const out = (value: Value) => ({ kind: "out", value }) as const;

interface Slot {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}
const slot = (name: string, dtype: DType, shape: readonly number[] = []): Slot => ({ name, dtype, shape });
type Named = Readonly<Record<string, Value>>;
type Make = (b: Builder, x: Named) => readonly Value[];

/** A graph of one loop, whose captures and carries are its parameters. */
function loopGraph(
  captures: readonly Slot[],
  carries: readonly Slot[],
  test: Make,
  body: Make,
  results?: string[],
): Graph {
  const params = (b: Builder): Named =>
    Object.fromEntries(
      [...captures, ...carries].map((s) => [s.name, b.param("arg", tensorType(s.dtype, s.shape), s.name)]),
    );
  const region = (make: Make): Graph => {
    const b = new Builder("region");
    return b.finish(make(b, params(b)).map(out));
  };
  const b = new Builder("loop");
  const x = params(b);
  const made = b.emitRegion(
    "while",
    { captures: captures.map((s) => x[s.name]!), init: carries.map((s) => x[s.name]!) },
    {},
    [region(test), region(body)],
  );
  return b.finish(carries.flatMap((s, i) => (results?.includes(s.name) === false ? [] : [out(made[i]!)])));
}

function refusals(graph: Graph): string[] {
  const reasons: string[] = [];
  const found = findElementLoops(simplify(graph), { onRefusal: (_, reason) => reasons.push(reason) });
  verifyGraph(found);
  expect(parseable(found)).toBe(true);
  expect(opsOf(found).includes("while")).toBe(reasons.length > 0);
  return reasons;
}
function parseable(graph: Graph): boolean {
  return printGraph(parseGraph(printGraph(graph))) === printGraph(graph);
}
const opsOf = (graph: Graph): string[] => graph.nodes.map((node) => node.op);
const any = (b: Builder, mask: Value, axes: readonly number[] = [0]): Value => emit.reduce(b, "or", mask, axes);
const one = (b: Builder): Value => b.scalar("i32", 1);

const S = [6];
const k = slot("k", "i32");
const z = slot("z", "f32", S);
const count = slot("count", "i32", S);
const alive = slot("alive", "bool", S);
const below = (b: Builder, x: Value, limit = 4): Value => emit.less(b, x, b.scalar("f32", limit));
const goesOn = (b: Builder, x: Named): Value => emit.less(b, x["k"]!, b.scalar("i32", 100));

/** while (k < 100 && any(alive)) with where(alive, next, z) */
const masked: Make = (b, x) => {
  const next = emit.add(b, emit.mul(b, x["z"]!, x["z"]!), x["c"]!);
  return [
    emit.add(b, x["k"]!, one(b)),
    emit.select(b, x["alive"]!, next, x["z"]!),
    emit.select(b, x["alive"]!, emit.add(b, x["count"]!, one(b)), x["count"]!),
    emit.and(b, x["alive"]!, below(b, next)),
  ];
};
const c = slot("c", "f32", S);

describe("loops that become loops of elements", () => {
  test("a mask that is carried, beside a counter", () => {
    const graph = loopGraph(
      [c],
      [k, z, count, alive],
      (b, x) => [emit.and(b, goesOn(b, x), any(b, x["alive"]!))],
      masked,
      ["z", "count"],
    );
    const found = findElementLoops(simplify(graph));
    expect(opsOf(found)).toEqual(["elementLoop"]);
    const [test, body] = found.nodes[0]!.regions.map((region) => opsOf(region)) as [string[], string[]];
    expect(test).toEqual(["const", "lt", "and"]);
    // What holds while an element goes on is known inside.
    expect(body).not.toContain("select");
    expect(body).not.toContain("and");
  });

  test("a mask that the test and the body both compute", () => {
    const mask = (b: Builder, x: Named): Value => below(b, emit.mul(b, x["z"]!, x["z"]!));
    const graph = loopGraph(
      [],
      [z],
      (b, x) => [any(b, mask(b, x))],
      (b, x) => [emit.select(b, mask(b, x), emit.add(b, x["z"]!, b.scalar("f32", 0.5)), x["z"]!)],
    );
    expect(refusals(graph)).toEqual([]);
  });

  test("a mask of elements that are done", () => {
    const done = slot("done", "bool", S);
    const graph = loopGraph(
      [],
      [z, done],
      (b, x) => [emit.not(b, emit.reduce(b, "and", x["done"]!, [0]))],
      (b, x) => {
        const next = emit.mul(b, x["z"]!, b.scalar("f32", 1.5));
        return [
          emit.select(b, x["done"]!, x["z"]!, next),
          b.emit("or", [x["done"]!, b.emit("ge", [next, b.scalar("f32", 9)])]),
        ];
      },
    );
    expect(refusals(graph)).toEqual([]);
  });

  const choice: Make = (b, x) => [emit.select(b, goesOn(b, x), any(b, x["alive"]!), b.scalar("bool", 0))];
  const branch: Make = (b, x) => {
    const no = new Builder("no");
    no.param("arg", tensorType("bool", S), "alive");
    const yes = new Builder("yes");
    const mask = yes.param("arg", tensorType("bool", S), "alive");
    return b.emitRegion("cond", { index: [goesOn(b, x)], captures: [x["alive"]!] }, {}, [
      no.finish([out(no.scalar("bool", 0))]),
      yes.finish([out(any(yes, mask))]),
    ]);
  };
  const inside: Make = (b, x) => [any(b, emit.and(b, x["alive"]!, goesOn(b, x)))];
  for (const [name, test_] of [
    ["a choice", choice],
    ["a branch", branch],
    ["one mask with a scalar in it", inside],
  ] as const)
    test(`conditions joined by ${name}`, () => {
      expect(refusals(loopGraph([c], [k, z, count, alive], test_, masked))).toEqual([]);
    });

  test("counters used after the loop follow from the number of rounds", () => {
    const decay = slot("decay", "f32");
    const graph = loopGraph(
      [],
      [k, decay, z],
      (b, x) => [emit.and(b, goesOn(b, x), any(b, below(b, x["z"]!)))],
      (b, x) => [
        emit.add(b, x["k"]!, b.scalar("i32", 3)),
        emit.mul(b, x["decay"]!, b.scalar("f32", 0.75)),
        emit.select(b, below(b, x["z"]!), emit.add(b, x["z"]!, x["decay"]!), x["z"]!),
      ],
    );
    const found = findElementLoops(simplify(graph));
    // The elements' loop, the largest number of rounds, and what cannot be told from it run again alone.
    expect(opsOf(found).filter((op) => op === "elementLoop" || op === "reduce" || op === "while")).toEqual([
      "elementLoop",
      "reduce",
      "elementLoop",
    ]);
  });

  test("a loop of scalars is one of a single element", () => {
    const x = slot("x", "f32");
    const graph = loopGraph(
      [],
      [x, k],
      (b, v) => [emit.and(b, goesOn(b, v), below(b, v["x"]!))],
      (b, v) => [emit.mul(b, v["x"]!, b.scalar("f32", 1.25)), emit.add(b, v["k"]!, one(b))],
    );
    expect(refusals(graph)).toEqual([]);
  });

  test("a scalar loop under vmap, and one inside another", () => {
    const inner = loopGraph(
      [],
      [slot("x", "f32"), slot("n", "i32")],
      (b, v) => [emit.less(b, v["x"]!, b.scalar("f32", 10))],
      (b, v) => {
        const nested = loopGraph(
          [],
          [slot("y", "f32")],
          (d, w) => [emit.less(d, w["y"]!, d.scalar("f32", 3))],
          (d, w) => [emit.add(d, w["y"]!, d.scalar("f32", 0.75))],
        );
        const [y] = b.emitRegion("while", { captures: [], init: [v["x"]!] }, {}, nested.nodes[0]!.regions);
        return [emit.mul(b, y!, b.scalar("f32", 1.5)), emit.add(b, v["n"]!, one(b))];
      },
    );
    const b = new Builder("batched");
    const x = b.param("arg", tensorType("f32", [7]), "x");
    const { results } = vmapInto(b, inner, [x, b.scalar("i32", 0)], [0, null], 7);
    const found = findElementLoops(simplify(b.finish(results.map(out))));
    expect(opsOf(found).filter((op) => op === "while")).toEqual([]);
    expect(opsOf(found).filter((op) => op === "elementLoop")).toHaveLength(1);
  });

  test("what does not change is computed outside", () => {
    const row = slot("row", "f32", [3]);
    const grid = slot("grid", "f32", [2, 3]);
    const mask = (b: Builder, x: Named): Value => below(b, x["grid"]!);
    const graph = loopGraph(
      [row],
      [grid],
      (b, x) => [any(b, mask(b, x), [0, 1])],
      (b, x) => {
        const repeated = emit.broadcastTo(b, b.emit("exp", [x["row"]!]), [2, 3], [1]);
        return [emit.select(b, mask(b, x), emit.add(b, x["grid"]!, repeated), x["grid"]!)];
      },
    );
    const found = findElementLoops(simplify(graph));
    expect(opsOf(found)).toEqual(["exp", "broadcast", "elementLoop"]);
  });
});

describe("loops that stay", () => {
  const stays: readonly (readonly [string, Graph, RegExp])[] = [
    [
      "a value changes where the mask is false",
      loopGraph(
        [],
        [z, alive],
        (b, x) => [any(b, x["alive"]!)],
        (b, x) => [emit.add(b, x["z"]!, b.scalar("f32", 1)), emit.and(b, x["alive"]!, below(b, x["z"]!))],
      ),
      /carried value 0 changes where the mask is false/,
    ],
    [
      "the mask may come back",
      loopGraph(
        [],
        [z, alive],
        (b, x) => [any(b, x["alive"]!)],
        (b, x) => [emit.select(b, x["alive"]!, emit.neg(b, x["z"]!), x["z"]!), below(b, x["z"]!)],
      ),
      /carried value 1 changes where the mask is false/,
    ],
    [
      "a carry of another shape",
      loopGraph(
        [],
        [slot("w", "f32", [2]), alive],
        (b, x) => [any(b, x["alive"]!)],
        (b, x) => [emit.neg(b, x["w"]!), x["alive"]!],
      ),
      /values of shape \[2\] beside a mask of shape \[6\]/,
    ],
    [
      "a sum over elements",
      loopGraph(
        [],
        [z],
        (b, x) => [any(b, below(b, x["z"]!))],
        (b, x) => {
          const total = emit.reduceSum(b, x["z"]!, [0]);
          return [emit.select(b, below(b, x["z"]!), emit.add(b, x["z"]!, total), x["z"]!)];
        },
      ),
      /reduce is no operation on single elements/,
    ],
    [
      "neighbours",
      loopGraph(
        [],
        [z],
        (b, x) => [any(b, below(b, x["z"]!))],
        (b, x) => [emit.select(b, below(b, x["z"]!), emit.reverse(b, x["z"]!, [0]), x["z"]!)],
      ),
      /reverse is no operation on single elements/,
    ],
    [
      "a mask over part of the axes",
      loopGraph(
        [],
        [slot("g", "f32", [2, 3])],
        (b, x) => [emit.reduce(b, "and", any(b, below(b, x["g"]!), [1]), [0])],
        (b, x) => [emit.select(b, below(b, x["g"]!), emit.add(b, x["g"]!, b.scalar("f32", 1)), x["g"]!)],
      ),
      /reduce makes bool\[2\] in a loop over \[2,3\]/,
    ],
    [
      "a mask that depends on the counter",
      loopGraph(
        [slot("limits", "i32", S)],
        [k, z],
        (b, x) => [any(b, emit.less(b, x["k"]!, x["limits"]!))],
        (b, x) => [
          emit.add(b, x["k"]!, one(b)),
          emit.select(b, emit.less(b, x["k"]!, x["limits"]!), emit.neg(b, x["z"]!), x["z"]!),
        ],
      ),
      /the mask depends on a scalar that changes/,
    ],
    [
      "several masks",
      loopGraph(
        [],
        [z, alive],
        (b, x) => [emit.and(b, any(b, x["alive"]!), any(b, below(b, x["z"]!)))],
        (b, x) => [emit.select(b, x["alive"]!, emit.neg(b, x["z"]!), x["z"]!), x["alive"]!],
      ),
      /several masks/,
    ],
    [
      "a counter that no element counts",
      loopGraph(
        [],
        [k, slot("none", "f32", [0])],
        (b, x) => [emit.less(b, x["k"]!, b.scalar("i32", 3))],
        (b, x) => [emit.add(b, x["k"]!, one(b)), emit.neg(b, x["none"]!)],
      ),
      /counts rounds beside values of shape \[0\], of which there may be no element/,
    ],
    [
      "a scalar that the elements make",
      loopGraph(
        [],
        [slot("total", "f32"), alive],
        (b, x) => [any(b, x["alive"]!)],
        (b, x) => [
          emit.add(b, x["total"]!, emit.reduceSum(b, emit.cast(b, x["alive"]!, "f32"), [0])),
          emit.and(b, x["alive"]!, below(b, x["total"]!)),
        ],
      ),
      /reduce is no operation on single elements/,
    ],
  ];
  for (const [name, graph, reason] of stays)
    test(name, () => {
      const reasons = refusals(graph);
      expect(reasons).toHaveLength(1);
      expect(reasons[0]).toMatch(reason);
    });

  test("and is named for whoever asks", () => {
    const names: string[] = [];
    findElementLoops(simplify(stays[0]![1]), { onRefusal: (loop) => names.push(loop) });
    expect(names).toEqual(["%0 while"]);
  });
});

describe("carries that follow from others", () => {
  const body = (start: "all" | "none"): Graph => {
    const b = new Builder("loop");
    const c0 = b.param("arg", tensorType("f32", S), "c");
    const region = (make: (b: Builder, x: readonly Value[]) => readonly Value[]): Graph => {
      const c = new Builder("region");
      const types = [c0.type, tensorType("i32", []), c0.type, tensorType("i32", S), tensorType("bool", S)];
      return c.finish(
        make(
          c,
          types.map((type, i) => c.param("arg", type, `p${i}`)),
        ).map(out),
      );
    };
    const named = ([c, k, z, count, alive]: readonly Value[]): Named => ({ c, k, z, count, alive }) as unknown as Named;
    const results = b.emitRegion(
      "while",
      {
        captures: [c0],
        init: [
          b.scalar("i32", 0),
          emit.filled(b, "f32", S, start === "all" ? 0 : 9),
          emit.filled(b, "i32", S, 0),
          emit.filled(b, "bool", S, 1),
        ],
      },
      {},
      [
        region((c, x) => [emit.and(c, goesOn(c, named(x)), any(c, named(x)["alive"]!))]),
        region((c, x) => masked(c, named(x))),
      ],
    );
    return b.finish([out(results[2]!)]);
  };

  test("are not carried where they start so", () => {
    const found = findElementLoops(simplify(body("all")));
    const loop = found.nodes.find((node) => node.op === "elementLoop")!;
    expect(loop.results.map((r) => typeText(r.type))).toEqual(["i32[6]", "f32[6]", "i32[6]"]);
    expect(opsOf(loop.regions[0]!)).toEqual(["const", "lt", "const", "lt", "and"]);
  });

  test("are carried where the first round is another case", () => {
    const found = findElementLoops(simplify(body("none")));
    const loop = found.nodes.find((node) => node.op === "elementLoop")!;
    expect(loop.results).toHaveLength(4);
  });
});
