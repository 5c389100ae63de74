// The peak rate of f32 multiply-adds on 128-bit vectors: a loop that touches registers only.
import { binaryen, countedLoop, type Expression, hasRelaxedSimd, instantiate, newModule, relaxedMadd } from "./wasm.ts";

/** Independent chains: two units of latency four need at least eight; the 16 vector registers leave room for twelve. */
const accumulators = 12;
const turns = 4096;
/** V8 replaces a wasm function by its optimised form only between calls, so a run is many short calls. */
const callsPerRun = 1000;

export const flopsPerRun: number = accumulators * turns * callsPerRun * 4 * 2;

/** What the four lanes of all accumulators add up to: x -> x/2 + 1 has settled on 2, exactly. */
export const expectedSum: number = accumulators * 4 * 2;

export interface FmaPeak {
  /** Runs `flopsPerRun` operations; returns the sum of all lanes of the last call. */
  run(): number;
}

/** With `relaxed`, one fused instruction per step; without, a multiplication and an addition. */
export function fmaPeak(relaxed: boolean): FmaPeak | string {
  if (relaxed && !hasRelaxedSimd()) return "this engine has no relaxed SIMD";
  const module = newModule();
  const { f32, f32x4, local } = module;
  const counter = 0;
  const half = 1;
  const one = 2;
  const first = 3;
  const get = (index: number): Expression => local.get(index, binaryen.v128);
  const step = (index: number): Expression =>
    local.set(
      index,
      relaxed
        ? relaxedMadd(module, get(index), get(half), get(one))
        : f32x4.add(f32x4.mul(get(index), get(half)), get(one)),
    );
  const chains = Array.from({ length: accumulators }, (_, index) => first + index);
  const total = chains.slice(1).reduce((sum, index) => f32x4.add(sum, get(index)), get(first));
  module.addFunction(
    "peak",
    binaryen.none,
    binaryen.f32,
    [binaryen.i32, ...Array.from({ length: accumulators + 2 }, () => binaryen.v128)],
    module.block(
      null,
      [
        local.set(half, f32x4.splat(f32.const(0.5))),
        local.set(one, f32x4.splat(f32.const(1))),
        // Different starting values, so that no compiler may merge the chains.
        ...chains.map((index) => local.set(index, f32x4.splat(f32.const(index)))),
        countedLoop(module, counter, module.i32.const(turns), 1, chains.map(step)),
        local.set(first, total),
        [0, 1, 2, 3].map((lane) => f32x4.extract_lane(get(first), lane)).reduce((sum, lane) => f32.add(sum, lane)),
      ],
      binaryen.f32,
    ),
  );
  module.addFunctionExport("peak", "peak");
  const peak = instantiate(module, {})["peak"] as () => number;
  return {
    run: () => {
      let sum = 0;
      for (let call = 0; call < callsPerRun; call++) sum = peak();
      return sum;
    },
  };
}
