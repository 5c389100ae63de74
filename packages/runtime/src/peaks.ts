/** What this machine reaches at best on one core, measured: the two rates of the roofline model. */
import { emit, probeFeatures } from "@sinter/codegen-wasm";
import { Builder, type LoopProgram, parseLoopFuncs, tensorType } from "@sinter/ir";
import { planMemory } from "@sinter/passes";
import { HeapFullError } from "./exec/heap.ts";
import { instantiate } from "./exec/program.ts";
import type { Peaks } from "./roofline.ts";
import { theMachine } from "./session.ts";
import { compileToWasm } from "./stages.ts";

/** Chains of multiply-adds that do not wait for each other; with two constants they fit the 16 vector registers. */
const chains = 12;
const turns = 4096;
/** Engines replace a function by its optimised form only between calls, so a run is many of them. */
const callsPerRun = 40;
const lanes = 4;
/** More than caches close to a core hold. A heap with less left gets less, and a rate that may be of its caches. */
const arrayBytes = 64 * 1024 * 1024;
const leastBytes = 1024 * 1024;
const leastRuns = 10;
const leastMilliseconds = 40;

let known: Peaks | undefined;

/** Measured once for the process: some 200 ms. Takes 64 MiB of the heap while it runs. */
export function measurePeaks(): Peaks {
  known ??= { gflops: peakArithmetic(), gbs: peakReading() };
  return known;
}

/** x <- x / 2 + 1 on vectors in registers. */
function peakArithmetic(): number {
  const names = Array.from({ length: chains }, (_, i) => `x${i}%${i}`);
  const sum = names.reduce((a, b) => `add(${a}, ${b})`);
  const [func] = parseLoopFuncs(
    [
      "func peak(out#0: *f32 heap) {",
      ...names.map((x, i) => `  var ${x} = ${i}:f32x4`),
      `  for i%${chains} = 0:i32 to ${turns}:i32 step 1 {`,
      ...names.map((x) => `    ${x} = fma(${x}, 0.5:f32x4, 1:f32x4)`),
      "  }",
      `  out#0[0:i32] = ${sum}`,
      "}",
      "",
    ].join("\n"),
  );
  const temp = { slot: 0, kind: "temp" } as const;
  const program: LoopProgram = {
    name: "peak",
    buffers: [
      { ...temp, id: 0, name: "counter", dtype: "i32", shape: [] },
      { ...temp, id: 1, name: "sums", dtype: "f32", shape: [lanes] },
    ],
    kernels: [
      {
        name: "peak",
        funcs: [func!],
        buffers: [1],
        scratch: [],
        writes: [1],
        aliasable: [],
        flops: chains * turns * lanes * 2,
        schedule: "registers",
      },
    ],
    steps: [{ kind: "for", count: callsPerRun, counter: 0, body: [{ kind: "kernel", kernel: 0, nodes: [] }] }],
    calls: [],
  };
  const target = { ...probeFeatures(), memory: theMachine().heap.kind, owner: "import" } as const;
  const executable = instantiate(theMachine(), emit(program, planMemory(program, { alignment: 64 }), target));
  const least = leastTime(() => executable.execute([0]));
  return (callsPerRun * program.kernels[0]!.flops) / least / 1e6;
}

function peakReading(): number {
  for (let bytes = arrayBytes; ; bytes /= 2)
    try {
      return readingRate(bytes);
    } catch (error) {
      if (!(error instanceof HeapFullError) || bytes <= leastBytes) throw error;
    }
}

/** Of the sum of an array. */
function readingRate(bytes: number): number {
  const b = new Builder("reading");
  const x = b.param("arg", tensorType("f32", [bytes / 4]), "x");
  const [total] = b.emitNode("reduce", [x], { op: "add", axes: [0] });
  const { program } = compileToWasm(b.finish([{ kind: "out", value: total! }]), { backend: "wasm" });
  const { heap } = theMachine();
  const executable = instantiate(theMachine(), program);
  // The array, and the sum behind it.
  const block = heap.allocate(bytes + 4);
  try {
    heap.view("f32", block.address, bytes / 4).fill(1);
    const pointers = program.slots.map(({ kind }) =>
      kind === "arg" ? block.address : kind === "result" ? block.address + bytes : 0,
    );
    return bytes / leastTime(() => executable.execute([...pointers])) / 1e6;
  } finally {
    heap.release(block);
  }
}

/** The shortest of some runs, in milliseconds. */
function leastTime(run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  const began = performance.now();
  for (let i = 0; i < leastRuns || performance.now() - began < leastMilliseconds; i++) {
    const started = performance.now();
    run();
    // A coarse clock may say that nothing took any time.
    least = Math.min(least, Math.max(performance.now() - started, 1e-3));
  }
  return least;
}
