// Contractions of all the shapes that tiles and panels can get wrong. Operands hold whole numbers, so that every order of
// summation gives the same bits.
import { describe, expect, test } from "vitest";
import type { CheckOptions } from "./support/check-forms.ts";
import { checkText, scheduledFused, schedulesOf, whole } from "./support/check-text.ts";
import { fullRun } from "./support/fuzz.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";

await alsoOnWebgpu("Products", { full: 30 });

const scheduled: CheckOptions = { forms: [scheduledFused] };
const sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 17, 31, 33, 64, 65];

interface Shape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Whether an operand comes with its contracted axis on the other side. */
  readonly lhs: boolean;
  readonly rhs: boolean;
}

function matmul({ m, n, k, lhs, rhs }: Shape, dtype = "f32"): string {
  const [a, b] = [lhs ? [k, m] : [m, k], rhs ? [n, k] : [k, n]];
  return `graph @matmul(%a: ${dtype}[${a}], %b: ${dtype}[${b}]) {
  %0 = dot %a, %b {batch=[[],[]], contract=[[${lhs ? 0 : 1}],[${rhs ? 1 : 0}]]} : ${dtype}[${m},${n}]
  return %0
}
`;
}

const transposed = [false, true].flatMap((lhs) => [false, true].map((rhs) => ({ lhs, rhs })));

/** All shapes, or one for each m and n with k and the transpositions taking turns. */
function* shapes(): Generator<Shape> {
  let turn = 0;
  for (const m of sizes)
    for (const n of sizes)
      if (fullRun) for (const k of sizes) for (const t of transposed) yield { m, n, k, ...t };
      else {
        // 3 and 7 have no factor in common with 16 and 4: turns do not go in step with the sizes.
        yield { m, n, k: sizes[(7 * turn) % sizes.length]!, ...transposed[(3 * turn + (turn >> 4)) % 4]! };
        turn++;
      }
}

describe("matrix products", () => {
  test("of every shape and transposition", () => {
    for (const shape of shapes()) checkText(matmul(shape), whole, scheduled);
  });

  test.each(["f64", "i32", "u32"])("of %s", (dtype) => {
    const few = [1, 3, 4, 5, 8, 13, 33];
    let turn = 0;
    for (const m of few)
      for (const n of few)
        for (const k of fullRun ? few : [few[turn % few.length]!])
          checkText(matmul({ m, n, k, ...transposed[turn++ % 4]! }, dtype), whole, scheduled);
  });

  test("are tiled where they are large, whatever the transposition", () => {
    for (const t of transposed)
      expect(schedulesOf(matmul({ m: 64, n: 64, k: 64, ...t }))).toEqual([expect.stringContaining("matmul")]);
  });

  test("longer than a panel and a block of rows", () => {
    for (const t of transposed) {
      checkText(matmul({ m: 131, n: 19, k: 300, ...t }), whole, scheduled);
      checkText(matmul({ m: 7, n: 259, k: 130, ...t }), whole, scheduled);
    }
  });

  test("agree between all forms, without fma too", () => {
    const everything: CheckOptions = { interpretUpTo: 300, plainSimd: true, memories: ["unshared", "shared"] };
    for (const t of transposed) checkText(matmul({ m: 7, n: 13, k: 17, ...t }), whole, everything);
  });
});

describe("batches and several axes", () => {
  const dot = (a: number[], b: number[], batch: number[][], contract: number[][], out: number[]): string =>
    `graph @dot(%a: f32[${a}], %b: f32[${b}]) {
  %0 = dot %a, %b {batch=[[${batch[0]}],[${batch[1]}]], contract=[[${contract[0]}],[${contract[1]}]]} : f32[${out}]
  return %0
}
`;
  const all: CheckOptions = { interpretUpTo: 300 };

  test("leading batch axes", () => {
    for (const [m, n, k] of [
      [5, 7, 9],
      [12, 16, 24],
      [17, 33, 12],
      [1, 9, 40],
      [9, 1, 40],
      [13, 18, 1],
    ] as const) {
      checkText(dot([3, m, k], [3, k, n], [[0], [0]], [[2], [1]], [3, m, n]), whole, all);
      checkText(
        dot(
          [2, 3, m, k],
          [2, 3, n, k],
          [
            [0, 1],
            [0, 1],
          ],
          [[3], [3]],
          [2, 3, m, n],
        ),
        whole,
        all,
      );
    }
  });

  test("batch axes elsewhere", () => {
    checkText(dot([12, 3, 24], [24, 16, 3], [[1], [2]], [[2], [0]], [3, 12, 16]), whole, all);
    checkText(dot([24, 12, 3], [16, 24, 3], [[2], [2]], [[0], [1]], [3, 12, 16]), whole, all);
    checkText(
      dot(
        [5, 2, 24, 3],
        [3, 24, 2, 16],
        [
          [1, 3],
          [2, 0],
        ],
        [[2], [1]],
        [2, 3, 5, 16],
      ),
      whole,
      all,
    );
  });

  test("several rows, columns and contracted axes", () => {
    checkText(
      dot(
        [3, 5, 6, 7],
        [6, 7, 4, 9],
        [[], []],
        [
          [2, 3],
          [0, 1],
        ],
        [3, 5, 4, 9],
      ),
      whole,
      all,
    );
    checkText(
      dot(
        [3, 6, 5, 7],
        [7, 4, 6, 9],
        [[], []],
        [
          [1, 3],
          [2, 0],
        ],
        [3, 5, 4, 9],
      ),
      whole,
      all,
    );
    checkText(
      dot(
        [6, 3, 7, 5],
        [4, 7, 9, 6],
        [[], []],
        [
          [2, 0],
          [1, 3],
        ],
        [3, 5, 4, 9],
      ),
      whole,
      all,
    );
    checkText(
      dot(
        [2, 6, 3, 7, 5],
        [4, 7, 9, 6, 2],
        [[0], [4]],
        [
          [3, 1],
          [1, 3],
        ],
        [2, 3, 5, 4, 9],
      ),
      whole,
      all,
    );
  });

  test("a vector on one side or on both", () => {
    for (const k of [1, 3, 8, 33, 257]) {
      checkText(dot([k], [k], [[], []], [[0], [0]], []), whole, all);
      for (const m of [1, 5, 33]) {
        checkText(dot([m, k], [k], [[], []], [[1], [0]], [m]), whole, all);
        checkText(dot([k, m], [k], [[], []], [[0], [0]], [m]), whole, all);
        checkText(dot([k], [k, m], [[], []], [[0], [0]], [m]), whole, all);
        checkText(dot([3, m, k], [3, k], [[0], [0]], [[2], [1]], [3, m]), whole, all);
      }
    }
  });

  test("an outer product", () => {
    for (const [m, n] of [
      [1, 1],
      [5, 7],
      [33, 64],
    ] as const)
      checkText(dot([m], [n], [[], []], [[], []], [m, n]), whole, all);
  });

  test("nothing to add up, and nothing to compute", () => {
    checkText(dot([5, 0], [0, 7], [[], []], [[1], [0]], [5, 7]), whole, all);
    checkText(dot([0, 5], [5, 7], [[], []], [[1], [0]], [0, 7]), whole, all);
    checkText(dot([8, 64], [64, 0], [[], []], [[1], [0]], [8, 0]), whole, all);
  });
});

describe("operands that are computed", () => {
  // a is made by `lines`, whose last value is %a, f32[m,k].
  const product = (params: string, lines: string, m: number, k: number, n: number): string =>
    `graph @product(${params}, %b: f32[${k},${n}]) {
${lines}
  %p = dot %a, %b {batch=[[],[]], contract=[[1],[0]]} : f32[${m},${n}]
  return %p
}
`;
  const all: CheckOptions = {};
  const cases: Readonly<Record<string, (m: number, k: number, n: number) => string>> = {
    relu: (m, k, n) => product(`%x: f32[${m},${k}]`, `  %a = relu %x : f32[${m},${k}]`, m, k, n),
    pad: (m, k, n) =>
      product(
        `%x: f32[${m},${k - 3}]`,
        `  %z = const {dtype=f32, shape=[], data=[2]} : f32[]
  %a = pad %x, %z {lo=[0,2], hi=[0,1], interior=[0,0]} : f32[${m},${k}]`,
        m,
        k,
        n,
      ),
    "pad of the rows": (m, k, n) =>
      product(
        `%x: f32[${m - 2},${k}]`,
        `  %z = const {dtype=f32, shape=[], data=[3]} : f32[]
  %a = pad %x, %z {lo=[1,0], hi=[1,0], interior=[0,0]} : f32[${m},${k}]`,
        m,
        k,
        n,
      ),
    gather: (m, k, n) =>
      product(`%x: f32[11,${k}], %i: i32[${m}]`, `  %a = gather %x, %i {axes=[0]} : f32[${m},${k}]`, m, k, n),
    reverse: (m, k, n) => product(`%x: f32[${m},${k}]`, `  %a = reverse %x {axes=[0,1]} : f32[${m},${k}]`, m, k, n),
    slice: (m, k, n) =>
      product(
        `%x: f32[${m + 2},${2 * k + 1}]`,
        `  %a = slice %x {start=[2,1], limit=[${m + 2},${2 * k + 1}], step=[1,2]} : f32[${m},${k}]`,
        m,
        k,
        n,
      ),
    broadcast: (m, k, n) =>
      product(`%x: f32[${k}]`, `  %a = broadcast %x {shape=[${m},${k}], dims=[1]} : f32[${m},${k}]`, m, k, n),
    cast: (m, k, n) => product(`%x: i32[${m},${k}]`, `  %a = cast %x {dtype=f32} : f32[${m},${k}]`, m, k, n),
    concat: (m, k, n) =>
      product(`%x: f32[${m},${k - 5}], %y: f32[${m},5]`, `  %a = concat %x, %y {axis=1} : f32[${m},${k}]`, m, k, n),
  };
  test.each(Object.keys(cases))("%s", (name) => {
    for (const [m, k, n] of [
      [4, 8, 5],
      [6, 16, 8],
      [13, 21, 19],
      [33, 40, 12],
    ] as const)
      checkText(cases[name]!(m, k, n), whole, all);
  });

  test("an operand with itself", () => {
    checkText(
      `graph @square(%x: f32[17,17]) {
  %0 = dot %x, %x {batch=[[],[]], contract=[[1],[0]]} : f32[17,17]
  %1 = dot %x, %x {batch=[[],[]], contract=[[1],[1]]} : f32[17,17]
  %2 = add %0, %1 : f32[17,17]
  return %2
}
`,
      whole,
      all,
    );
  });
});
