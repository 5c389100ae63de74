/** What the compiler made of a function, in words and in files. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KernelCost, Lowered } from "sinter";

const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`;

/** Prints how many operations became how many kernels, and what each kernel does. */
export function explain(lowered: Lowered): void {
  const operations = lowered.text("simplified").match(/^\s+%/gm)?.length ?? 0;
  const cost = lowered.cost();
  console.log(
    `The training step (forward, backward and Adam) was traced: ${operations} operations. They were fused into`,
  );
  console.log(`${cost.byKernel.length} kernels of one WebAssembly program, which a step calls once:\n`);
  console.log(`  ${row("kernel", "operations in it", "loops", "Mflop", "KiB moved")}`);
  for (const [i, kernel] of cost.byKernel.entries()) console.log(`  ${kernelRow(i, kernel)}`);
  console.log(
    `\n  ${(cost.flops / 1e6).toFixed(0)} Mflop a step, ${kib(cost.codeBytes)} of code, ${kib(cost.arenaBytes)} for what is kept between kernels.`,
  );
  console.log("  A kernel computes all its operations without writing what lies between them to memory:");
  console.log("  the products add their bias and relu, or run Adam, on results that are still in registers.\n");
}

function kernelRow(position: number, { name, schedule, flops, bytesRead, bytesWritten }: KernelCost): string {
  const operations = name.replace(/^k\d+_/, "").replaceAll("_", ", ");
  const moved = ((bytesRead + bytesWritten) / 1024).toFixed(0);
  return row(String(position), operations, schedule, (flops / 1e6).toFixed(2), moved);
}

function row(kernel: string, operations: string, loops: string, flops: string, moved: string): string {
  return [kernel.padEnd(6), operations.padEnd(34), loops.padEnd(22), flops.padStart(7), moved.padStart(10)].join(" ");
}

const stages = ["trace", "simplified", "fused", "nests", "loops", "plan", "wat"] as const;

/** Writes one file per stage of compilation. */
export function writeDump(folder: string, lowered: Lowered): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [i, stage] of stages.entries()) writeFileSync(join(folder, `${i + 1}-${stage}.txt`), lowered.text(stage));
}
