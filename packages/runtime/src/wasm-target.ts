/** The target wasm: programs for the engine that this runs in. */
import { emit, emitText, probeFeatures, schedule } from "@sinter/codegen-wasm";
import type { WasmFeatures, WasmProgram } from "@sinter/ir";
import { poisonDead } from "@sinter/passes";
import { theMachine } from "./session.ts";
import type { LoopStages, Target } from "./target.ts";

export interface WasmTargetOptions {
  /** Fills memory that nobody should read with NaN. */
  readonly poison?: boolean;
  /** Makes the program tell a clock when its steps begin and are done. */
  readonly instrument?: boolean;
}

/** Programs for this engine, or for one with other features. */
export function wasmTarget(
  { poison = false, instrument = false }: WasmTargetOptions = {},
  features: WasmFeatures = probeFeatures(),
): Target<WasmProgram> {
  // The machine is made where there is something to run on it, not by looking at stages before that.
  const memory = () => ({ ...features, memory: theMachine().heap.kind, owner: "import" }) as const;
  return {
    backend: "wasm",
    name: features.relaxedSimd ? "wasm relaxed-simd" : "wasm",
    language: "wat",
    fusion: {},
    memory: { alignment: 64 },
    schedule: (nests) => schedule(nests, features),
    emit(stages) {
      const { program, plan } = loopsThatRun(stages, poison);
      return emit(program, plan, { ...memory(), names: true, instrument });
    },
    text: ({ loops, plan }, comments) => emitText(loops, plan, memory(), comments),
  };
}

/** What a module is made of. */
export function loopsThatRun({ loops, plan }: LoopStages, poison: boolean) {
  return poison ? poisonDead(loops, plan) : { program: loops, plan };
}
