// Inspections: plain data in which everything that names something else finds it.
import { type Graph, nodeAt, parseGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { type Inspection, inspect, type StepPicture } from "../src/index.ts";

const text = `graph @train(%w: state f32[64,64], %x: f32[32,64], %go: bool[]) {
  %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[32,64]
  %1 = relu %0 : f32[32,64]
  %2, %3 = scan captures(%go), init(%1), xs() {length=10, reverse=false} : f32[32,64], f32[10]
    graph @body(%go: bool[], %c: f32[32,64]) {
      %0 = sin %c : f32[32,64]
      %1 = reduce %0 {op=add, axes=[0,1]} : f32[]
      %2 = cond index(%go), captures(%0) : f32[32,64]
        graph @no(%a: f32[32,64]) {
          %0 = cumulate %a {op=add, axis=0, reverse=false, exclusive=false} : f32[32,64]
          return %0
        }
        graph @yes(%a: f32[32,64]) {
          return %a
        }
      return %2, %1
    }
  %4 = while captures(), init(%1) : f32[32,64]
    graph @test(%c: f32[32,64]) {
      %0 = reduce %c {op=add, axes=[0,1]} : f32[]
      %1 = const {dtype=f32, shape=[], data=[100]} : f32[]
      %2 = lt %0, %1 : bool[]
      return %2
    }
    graph @more(%c: f32[32,64]) {
      %0 = add %c, %c : f32[32,64]
      return %0
    }
  %5 = exp %w : f32[64,64]
  return state[0] %5, %2, %3, %4
}
`;
const graph: Graph = parseGraph(text, { file: "train.ts" });
const found: Inspection = inspect(graph, { backend: "wasm" });

function stepsOf(steps: readonly StepPicture[]): StepPicture[] {
  return steps.flatMap((step) => {
    if (step.kind === "if") return [step, ...step.branches.flatMap(stepsOf)];
    if (step.kind === "for") return [step, ...stepsOf(step.body)];
    return step.kind === "while" ? [step, ...stepsOf(step.test), ...stepsOf(step.body)] : [step];
  });
}

describe("an inspection", () => {
  test("survives JSON", () => {
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
  });

  test("says what was compiled for what", () => {
    expect(found.signature).toBe(
      "train(state w: f32[64,64], x: f32[32,64], go: bool[]) -> (state f32[64,64], f32[32,64], f32[10], f32[32,64])",
    );
    expect(found.target).toMatch(/^wasm( relaxed-simd)?$/);
    expect(found.params.map((p) => p.kind)).toEqual(["state", "arg", "arg"]);
    expect(found.results.map((r) => [r.kind, r.value])).toEqual([
      ["state", "4"],
      ["out", "2"],
      ["out", "2#1"],
      ["out", "3"],
    ]);
  });

  test("has all passes as text", () => {
    expect(found.passes.map((p) => p.level)).toEqual([
      "graph",
      "graph",
      "graph",
      "graph",
      "nests",
      "loops",
      "plan",
      "wat",
    ]);
    for (const pass of found.passes) expect(pass.text, pass.name).toMatch(/\S/);
    expect(found.passes[0]!.text).toContain("# train.ts:2:3");
  });

  test("names nodes by paths, and values by the nodes that make them", () => {
    const paths = new Set(found.nodes.map((n) => n.path));
    expect(paths.size).toBe(found.nodes.length);
    const cumulate = found.nodes.find((n) => n.op === "cumulate")!;
    expect(cumulate.path).toMatch(/^\d+\.0\.\d+\.\d+\.\d+$/);
    expect(cumulate.operands).toEqual(["param a"]);
    expect(cumulate.locs[0]).toMatchObject({ file: "train.ts", line: 10 });
    for (const node of found.nodes)
      for (const operand of node.operands) {
        const inside = node.path.split(".").slice(0, -1).join(".");
        if (operand.startsWith("param ")) continue;
        const [path] = operand.split("#") as [string];
        expect(paths).toContain(path);
        expect(path.split(".").slice(0, -1).join(".")).toBe(inside);
      }
  });

  test("nodes and kernels name each other", () => {
    for (const kernel of found.kernels)
      for (const path of kernel.nodes)
        expect(found.nodes.find((n) => n.path === path)!.kernels, path).toContain(kernel.index);
    for (const node of found.nodes) for (const k of node.kernels) expect(found.kernels[k]!.nodes).toContain(node.path);
    expect(found.nodes.find((n) => n.op === "sin")!.kernels.length).toBeGreaterThan(0);
  });

  test("shows each kernel on every level", () => {
    const wasm = found.passes.at(-1)!.text.replaceAll("\n ", "\n");
    for (const kernel of found.kernels) {
      expect(kernel.nest).toContain(kernel.name);
      expect(kernel.loops).toContain(`func ${kernel.name}(`);
      for (const func of kernel.wat!.split(/(?=^\(func )/m)) expect(wasm).toContain(func.trimEnd());
      expect(kernel.locs.length).toBeGreaterThan(0);
      expect(kernel.buffers.some((b) => b.writes)).toBe(true);
    }
    expect(found.run).toContain("(func $run ");
    const product = found.kernels.find((k) => k.schedule.startsWith("matmul"))!;
    expect(product.flops).toBeGreaterThanOrEqual(2 * 32 * 64 * 64);
    expect(product.scratch.map((s) => s.name)).toContain("packed");
  });

  test("counts how often kernels run", () => {
    const runsOf = (op: string): (number | null)[] =>
      found.nodes.filter((n) => n.op === op).flatMap((n) => n.kernels.map((k) => found.kernels[k]!.runs));
    expect(runsOf("dot")).toEqual([1]);
    expect(runsOf("sin")).toEqual(runsOf("sin").map(() => 10));
    expect(runsOf("cumulate")).toEqual([10]);
    expect(runsOf("lt")).toContain(null);
    expect(found.cost.byKernel.map((k) => k.runs)).toEqual(found.kernels.map((k) => k.runs));
  });

  test("numbers steps as buffers count them", () => {
    const steps = stepsOf(found.steps);
    const numbers = steps.flatMap((s) => ("end" in s ? [s.number, s.end] : [s.number]));
    expect([...numbers].sort((a, b) => a - b)).toEqual(numbers.map((_, i) => i));
    expect(steps.filter((s) => s.kind === "kernel").map((s) => s.kernel)).toEqual(found.kernels.map((k) => k.index));
    expect(steps.map((s) => s.kind)).toEqual(expect.arrayContaining(["for", "if", "while"]));
    for (const { firstStep, lastStep } of found.buffers) {
      expect(firstStep).toBeGreaterThanOrEqual(0);
      expect(lastStep).toBeLessThan(numbers.length);
    }
    // A kernel runs while the memory of what it takes is theirs.
    for (const step of steps)
      if (step.kind === "kernel")
        for (const { buffer } of found.kernels[step.kernel]!.buffers) {
          const { firstStep, lastStep, place } = found.buffers[buffer]!;
          expect(place).not.toBe("none");
          expect([step.number >= firstStep, step.number <= lastStep], `b${buffer}`).toEqual([true, true]);
        }
  });

  test("places what lives together apart", () => {
    const arena = found.buffers.filter((b) => b.place === "arena" && b.of === undefined);
    for (const a of arena) {
      expect(a.offset + a.bytes).toBeLessThanOrEqual(found.arenaBytes);
      for (const b of arena) {
        if (a === b || a.lastStep < b.firstStep || b.lastStep < a.firstStep) continue;
        expect(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset, `b${a.id} b${b.id}`).toBe(true);
      }
    }
    expect(found.buffers.filter((b) => b.place === "slice").map((b) => found.buffers[b.of!]!.shape)).toEqual(["[10]"]);
  });

  test("gives reasons with the nodes that they are about", () => {
    const kept = found.decisions.find((d) => !d.fused && d.consumer.includes("scan"))!;
    expect(kept.reason).toBe("a branch or a loop takes whole tensors in memory");
    for (const { producerNodes, consumerNodes } of found.decisions)
      for (const path of [...producerNodes, ...consumerNodes]) expect(found.nodes.map((n) => n.path)).toContain(path);
    const fused = found.decisions.find((d) => d.fused && d.producer.endsWith("dot"))!;
    expect([fused.producerNodes, fused.consumerNodes]).toEqual([["0"], ["1"]]);
  });
});

test("a program without kernels", () => {
  const same = inspect(parseGraph("graph @same(%x: f32[3]) {\n  return %x\n}\n"), { backend: "wasm" });
  expect(same).toMatchObject({ kernels: [], nodes: [], arenaBytes: 0, signature: "same(x: f32[3]) -> f32[3]" });
  expect(same.results).toEqual([{ kind: "out", value: "param x", type: "f32[3]" }]);
  expect(same.buffers.map((b) => b.place)).toEqual(["arg", "result"]);
});

test("positions are those of the graph at hand", () => {
  const other = inspect(parseGraph(`\n${text}`, { file: "other.ts" }), { backend: "wasm" });
  expect(other.kernels.map((k) => k.locs.map((l) => l.line - 1))).toEqual(
    found.kernels.map((k) => k.locs.map((l) => l.line)),
  );
  expect(new Set(other.kernels.flatMap((k) => k.locs.map((l) => l.file)))).toEqual(new Set(["other.ts"]));
  expect(nodeAt(graph, [0]).op).toBe("dot");
});
