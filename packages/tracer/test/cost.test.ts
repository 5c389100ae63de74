// What lower().cost() counts: arithmetic and bytes of known kernels, loops, and what only parts of a buffer are touched.
import { describe, expect, test } from "vitest";
import {
  compile,
  cond,
  gather,
  matmul,
  ones,
  scan,
  spec,
  type Tensor,
  tensor,
  whileLoop,
  zeros,
} from "../src/index.ts";

function costOf(f: (...args: Tensor[]) => unknown, ...specs: ReturnType<typeof spec>[]) {
  return compile(f as (...args: unknown[]) => unknown, { autograph: false })
    .lower(...specs)
    .cost();
}

describe("flops and bytes", () => {
  test("a product: 2 m n k, and each operand once", () => {
    const cost = costOf((x, w) => matmul(x!, w!), spec([48, 64]), spec([64, 80]));
    expect(cost.flops).toBe(2 * 48 * 80 * 64);
    expect(cost.bytesRead).toBe(4 * (48 * 64 + 64 * 80));
    expect(cost.bytesWritten).toBe(4 * 48 * 80);
    expect(cost.byKernel).toHaveLength(1);
    const [kernel] = cost.byKernel;
    expect(kernel).toMatchObject({ runs: 1, flops: cost.flops, bytesRead: cost.bytesRead });
    expect(kernel!.intensity).toBe(cost.flops / (cost.bytesRead + cost.bytesWritten));
    expect(kernel!.schedule).toContain("matmul");
  });

  test("a batched product, and an epilogue on each element", () => {
    const cost = costOf((x, w, b) => matmul(x!, w!).add(b!).mul(b!), spec([3, 16, 32]), spec([3, 32, 24]), spec([24]));
    expect(cost.flops).toBe(3 * 16 * 24 * (2 * 32 + 2));
    expect(cost.bytesRead).toBe(4 * (3 * 16 * 32 + 3 * 32 * 24 + 24));
  });

  test("element by element: one for each operation, however many results share it", () => {
    const cost = costOf((x, y) => x!.add(y!).mul(x!).sub(y!), spec([1000]), spec([1000]));
    expect(cost).toMatchObject({ flops: 3000, bytesRead: 8000, bytesWritten: 4000, kernels: 1 });
    const shared = costOf(
      (x) => {
        const twice = x!.mul(2);
        return [twice.add(1), twice.sub(1)];
      },
      spec([1000]),
    );
    expect(shared).toMatchObject({ flops: 3000, bytesRead: 4000, bytesWritten: 8000 });
  });

  test("symbolic sizes count as 256, which the cost says", () => {
    const f = (x: Tensor, w: Tensor): Tensor => matmul(x, w).exp().sum(1).softmax();
    const open = costOf(f as never, spec(["n", 64]), spec([64, 80]));
    const known = costOf(f as never, spec([256, 64]), spec([64, 80]));
    expect(open.sizes).toEqual({ n: 256 });
    expect(known).not.toHaveProperty("sizes");
    const { flops, bytesRead, bytesWritten } = known;
    expect(open).toMatchObject({ flops, bytesRead, bytesWritten });
    const inspection = compile(f, { autograph: false })
      .lower(spec(["n", 64]) as never, spec([64, 80]) as never)
      .inspect();
    expect(inspection.cost).toMatchObject({ sizes: { n: 256 }, flops });
    expect(inspection.buffers.map(({ shape }) => shape)).toContain("[n,64]");
  });

  test("a broadcast operand is read once", () => {
    expect(costOf((x, b) => x!.add(b!), spec([50, 40]), spec([40]))).toMatchObject({
      flops: 2000,
      bytesRead: 4 * (2000 + 40),
      bytesWritten: 8000,
    });
  });

  test("reductions: one for each element, and what follows once for each result", () => {
    expect(costOf((x) => x!.sum(1), spec([20, 30])).flops).toBe(600);
    expect(costOf((x) => x!.mean(1), spec([20, 32])).flops).toBe(640 + 20);
    expect(costOf((x) => x!.sum(1), spec([20, 30]))).toMatchObject({ bytesRead: 2400, bytesWritten: 80 });
  });

  test("what is kept in a row of a kernel is not moved", () => {
    const cost = costOf((x) => x!.softmax(1), spec([10, 200]));
    expect(cost.byKernel).toHaveLength(1);
    expect(cost).toMatchObject({ bytesRead: 8000, bytesWritten: 8000 });
  });

  test("moving costs no arithmetic", () => {
    expect(costOf((x) => x!.transpose(), spec([30, 40]))).toMatchObject({
      flops: 0,
      bytesRead: 4800,
      bytesWritten: 4800,
    });
  });

  test("only what is reached of a large buffer", () => {
    const rows = costOf((x, i) => gather(x!, i!, 0), spec([10000, 8]), spec([5], "i32"));
    expect(rows).toMatchObject({ bytesRead: 4 * (5 * 8 + 5), bytesWritten: 160 });
    const part = costOf((x) => x!.slice([0], [10]).mul(2), spec([100000]));
    expect(part).toMatchObject({ flops: 10, bytesRead: 40, bytesWritten: 40 });
  });

  test("f64 and bool", () => {
    expect(costOf((x) => x!.gt(0), spec([100], "f64"))).toMatchObject({ bytesRead: 800, bytesWritten: 100 });
  });
});

describe("control flow", () => {
  test("a loop counts its rounds", () => {
    const cost = costOf(
      (x) => scan((c: Tensor) => [c.mul(2).add(1), null] as const, x!, null, { length: 12 })[0],
      spec([100]),
    );
    const [kernel] = cost.byKernel;
    expect(kernel).toMatchObject({ flops: 200, runs: 12, bytesRead: 400, bytesWritten: 400 });
    expect(cost.flops).toBe(12 * 200);
  });

  test("loops in loops", () => {
    const inner = (c: Tensor) => scan((d: Tensor) => [d.mul(1.5), null] as const, c, null, { length: 5 })[0];
    const cost = costOf(
      (x) => scan((c: Tensor) => [inner(c.add(1)), null] as const, x!, null, { length: 4 })[0],
      spec([100]),
    );
    expect(cost.byKernel.map((k) => k.runs).sort((a, b) => a! - b!)).toEqual([4, 20]);
    expect(cost.flops).toBe(4 * 100 + 20 * 100);
  });

  test("a while counts once, and says that it does not know", () => {
    const cost = costOf(
      (x) =>
        whileLoop(
          (c) => c.sum().lt(1e6),
          (c) => c.mul(2),
          x!,
        ),
      spec([1000]),
    );
    const inside = cost.byKernel.filter((k) => k.runs === null);
    expect(inside.length).toBeGreaterThan(0);
    expect(Number.isFinite(cost.flops)).toBe(true);
  });

  test("all branches count", () => {
    const cost = costOf(
      (x) =>
        cond(
          x!.sum().gt(0),
          () => x!.mul(2),
          () => x!.add(1),
        ),
      spec([100]),
    );
    expect(cost.flops).toBe(100 + 1 + 100 + 100);
  });
});

test("memory and code", () => {
  const cost = costOf((x, w) => matmul(x!, w!).softmax(1), spec([16, 32]), spec([32, 8]));
  expect(cost.arenaBytes).toBeGreaterThanOrEqual(16 * 8 * 4);
  expect(cost.peakBytes).toBe(cost.arenaBytes + 4 * (16 * 32 + 32 * 8 + 16 * 8));
  expect(cost.codeBytes).toBeGreaterThan(100);
});

test("nothing to compute costs nothing", () => {
  const f = compile((x: Tensor) => x);
  expect(f.lower(spec([100])).cost()).toMatchObject({ flops: 0, kernels: 0, scalarKernels: 0, byKernel: [] });
  expect(
    compile(() => tensor(3))
      .lower()
      .cost(),
  ).toMatchObject({ flops: 0 });
  expect(
    compile(() => [zeros([0]), ones([1])])
      .lower()
      .cost().flops,
  ).toBe(0);
});
