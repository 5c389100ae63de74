// Tiled products in the interpreter, which checks every access and that threads part at no barrier: convolutions that read
// through a window, their gradients, sums divided among groups, few rows. Operands hold whole numbers, so that every order
// of summation gives the same bits.
import {
  addIndex,
  allocate,
  axis,
  axisIndex,
  type BufferDecl,
  divIndex,
  evalLoopKernel,
  evalNests,
  expressionScope,
  type IndexExpr,
  type LoopKernel,
  modIndex,
  type NestKernel,
  type Range,
  scalarAcc,
  scalarApply,
  scalarRead,
  scaleIndex,
  verifyLoopKernel,
} from "@sinter/ir";
import { expect, test } from "vitest";
import { productKernel } from "../src/schedule/product.ts";
import { leastFeatures } from "./support/features.ts";

interface Operand {
  readonly shape: readonly number[];
  readonly index: readonly IndexExpr[];
  readonly guard?: readonly Range[];
}
type Extents = Readonly<Record<string, number>>;
type At = Readonly<Record<string, IndexExpr>>;

/** out[par...] = sum over red of a * b */
interface Contraction {
  readonly par: Extents;
  readonly red: Extents;
  readonly operands: (at: At) => readonly [Operand, Operand];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

function kernelOf({ par, red, operands }: Contraction): { kernel: NestKernel; buffers: BufferDecl[] } {
  const named = (extents: Extents, kind: "par" | "red") =>
    Object.entries(extents).map(([name, extent]) => axis(name, extent, kind));
  const axes = [...named(par, "par"), ...named(red, "red")];
  const [a, b] = operands(Object.fromEntries(axes.map((x) => [x.name, axisIndex(x)])));
  const reads = [a, b].map((o, i) => scalarRead("f32", i, o.index, o.guard ?? []));
  const kernel: NestKernel = {
    kind: "nests",
    name: "product",
    outer: [],
    nests: [
      {
        axes,
        accumulators: [{ combine: "add", dtype: "f32", values: [scalarApply("mul", reads)] }],
        carries: [],
        stores: [
          {
            buffer: 2,
            index: axes.filter((x) => x.kind === "par").map(axisIndex),
            value: scalarApply("neg", [scalarAcc("f32", 0)]),
            when: "end",
          },
        ],
      },
    ],
  };
  const decl = (id: number, shape: readonly number[]): BufferDecl => ({
    id,
    name: `b${id}`,
    dtype: "f32",
    shape,
    kind: id === 2 ? "result" : "arg",
    slot: id === 2 ? 0 : id,
  });
  return { kernel, buffers: [decl(0, a.shape), decl(1, b.shape), decl(2, Object.values(par))] };
}

/** The scheduled kernel, after its results have been compared with those of the nest. */
function checked(contraction: Contraction): LoopKernel {
  return expressionScope(() => {
    const { kernel, buffers } = kernelOf(contraction);
    const scheduled = productKernel(kernel, buffers, leastFeatures)!;
    verifyLoopKernel(scheduled);
    const memory = buffers.map(({ shape, kind }, j) => {
      const data = allocate("f32", sizeOf(shape as number[]));
      return kind === "result" ? data : data.map((_, i) => ((i * 7 + j * 3 + (i >> 3)) % 11) - 5);
    });
    const program = { name: "p", buffers, steps: [{ kind: "kernel" as const, kernel, nodes: [] }], notes: [] };
    const [expected] = evalNests(program, memory.slice(0, 2));
    evalLoopKernel(
      scheduled,
      scheduled.buffers.map((id) => memory[id]!),
    );
    expect(memory[2]).toEqual(expected);
    return scheduled;
  });
}

const matmul = (m: number, n: number, k: number, transposed = false): Contraction => ({
  par: { i: m, j: n },
  red: { r: k },
  operands: ({ i, j, r }) => [
    transposed ? { shape: [k, m], index: [r!, i!] } : { shape: [m, k], index: [i!, r!] },
    transposed ? { shape: [n, k], index: [j!, r!] } : { shape: [k, n], index: [r!, j!] },
  ],
});

test("tiles end at any edge, whatever the transposition", () => {
  for (const transposed of [false, true]) {
    expect(checked(matmul(17, 13, 19, transposed)).schedule).toBe("tiles 32x16x16");
    expect(checked(matmul(20, 36, 16, transposed)).schedule).toBe("tiles 32x64x16");
    // Whole vectors along the sum, which does not end with a tile.
    expect(checked(matmul(18, 21, 20, transposed)).schedule).toBe("tiles 32x32x16");
  }
});

test("few tiles of a long sum are divided among groups, and a second grid folds them", () => {
  const kernel = checked(matmul(9, 10, 401));
  expect(kernel.schedule).toBe("split 3 tiles 16x32x16");
  expect(kernel.grids!.map((g) => [g.groups, g.threads])).toEqual([
    [3, 32],
    [2, 64],
  ]);
  expect(kernel.scratch.map((s) => s.bytes)).toEqual([3 * 9 * 12 * 4]);
});

test("two and three rows are swept together", () => {
  for (const transposed of [false, true]) {
    expect(checked(matmul(3, 35, 44, transposed)).schedule).toBe("matvec 3 rows");
    expect(checked(matmul(34, 2, 37, transposed)).schedule).toBe("matvec 2 rows");
  }
});

// A convolution with stride 2 and padding 1 of images [b, y, x, c], as a product, and the products that its gradients are.
// `groups`: of channels, which have filters of their own.
const [images, height, width, window, filters, stride, padding] = [2, 3, 5, 3, 6, 2, 1];
const [outHeight, outWidth] = [height, width].map((n) => Math.floor((n + 2 * padding - window) / stride) + 1) as [
  number,
  number,
];

function convolution(channels: number, groups: number): { forward: Contraction; gradients: Contraction[] } {
  const throughWindow = ({ g, b, y, x, u, v, c }: At): Operand => {
    const at = (out: IndexExpr, inWindow: IndexExpr): IndexExpr =>
      addIndex(addIndex(scaleIndex(out, stride), inWindow), -padding);
    const [row, column] = [at(y!, u!), at(x!, v!)];
    return {
      shape: [groups, images, height, width, channels],
      index: [g!, b!, row, column, c!],
      guard: [
        { index: row, lo: 0, hi: height },
        { index: column, lo: 0, hi: width },
      ],
    };
  };
  const filter = ({ g, u, v, c, f }: At): Operand => ({
    shape: [groups, window, window, channels, filters],
    index: [g!, u!, v!, c!, f!],
  });
  const result = [groups, images, outHeight, outWidth, filters];
  const backThroughWindow = ({ g, b, y, x, u, v, f }: At): Operand => {
    const steps = [
      { moved: addIndex(addIndex(y!, padding), scaleIndex(u!, -1)), size: outHeight },
      { moved: addIndex(addIndex(x!, padding), scaleIndex(v!, -1)), size: outWidth },
    ];
    const [row, column] = steps.map(({ moved }) => divIndex(moved, stride)) as [IndexExpr, IndexExpr];
    const guard = steps.flatMap(({ moved, size }) => [
      { index: divIndex(moved, stride), lo: 0, hi: size },
      { index: modIndex(moved, stride), lo: 0, hi: 1 },
    ]);
    return { shape: result, index: [g!, b!, row, column, f!], guard };
  };
  return {
    forward: {
      par: { g: groups, b: images, y: outHeight, x: outWidth, f: filters },
      red: { u: window, v: window, c: channels },
      operands: (at) => [throughWindow(at), filter(at)],
    },
    gradients: [
      {
        par: { g: groups, u: window, v: window, c: channels, f: filters },
        red: { b: images, y: outHeight, x: outWidth },
        operands: (at) => {
          const { g, b, y, x, f } = at;
          return [throughWindow(at), { shape: result, index: [g!, b!, y!, x!, f!] }];
        },
      },
      {
        par: { g: groups, b: images, y: height, x: width, c: channels },
        red: { u: window, v: window, f: filters },
        operands: (at) => [backThroughWindow(at), filter(at)],
      },
    ],
  };
}

test("convolutions and their gradients read through their windows, of groups too", () => {
  for (const [channels, groups] of [
    [5, 1],
    [4, 2],
  ] as const) {
    const { forward, gradients } = convolution(channels, groups);
    for (const { schedule, scratch } of [forward, ...gradients].map(checked)) {
      expect(schedule).toMatch(/^tiles /);
      expect(scratch).toEqual([]);
    }
  }
});

test("four channels are one access, whose place in the window is computed once", () => {
  // Elements that are read one by one are packed: the filters' six columns always, the images' channels only where odd.
  const packs = (channels: number): number =>
    JSON.stringify(checked(convolution(channels, 1).forward).funcs).split('"kind":"pack"').length - 1;
  expect(packs(8)).toBeLessThan(packs(5));
});
