/** What the compiler made of a function, in words and in files. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lowered } from "sinter";

/** Prints how many operations became how many kernels, and what each kernel does. */
export function explain(lowered: Lowered): void {
  const nodes = (stage: "trace" | "simplified"): number => lowered.text(stage).match(/^\s+%/gm)?.length ?? 0;
  const cost = lowered.cost();
  const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`;
  console.log("The training step (forward, backward and Adam) was traced once and compiled to one WebAssembly program:");
  console.log(`  ${nodes("trace")} operations traced, ${nodes("simplified")} after simplification, fused into ${cost.kernels + cost.scalarKernels} kernels;`);
  console.log(`  ${(cost.flops / 1e6).toFixed(0)} million operations a step, ${kib(cost.codeBytes)} of code, ${kib(cost.arenaBytes)} of memory for what lies between the kernels.\n`);
}

const stages = ["trace", "simplified", "fused", "nests", "loops", "plan", "wat"] as const;

/** Writes one file per stage of compilation. */
export function writeDump(folder: string, lowered: Lowered): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [i, stage] of stages.entries()) writeFileSync(join(folder, `${i + 1}-${stage}.txt`), lowered.text(stage));
}
