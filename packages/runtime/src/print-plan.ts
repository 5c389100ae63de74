/** A memory plan as text: where each buffer lies, when it lives, what shares its place. */
import type { LoopProgram, Plan } from "@sinter/ir";

export function printPlan(program: LoopProgram, plan: Plan): string {
  const lines = [`plan ${program.name}: arena ${plan.arenaBytes} bytes, aligned to ${plan.alignment}`];
  program.buffers.forEach((buffer, i) => {
    const place = plan.places[i];
    const head = `  b${buffer.id} ${buffer.kind} ${buffer.name} ${buffer.dtype}[${buffer.shape.map((d) => (typeof d === "number" ? d : d.key)).join(",")}]`;
    if (place === undefined || place.kind === "none") return;
    if (place.kind === "arena")
      lines.push(
        `${head}: arena +${place.offset}, ${place.bytes} bytes, steps ${place.firstStep} to ${place.lastStep}`,
      );
    else if (place.kind === "slot") lines.push(`${head}: slot ${place.slot}, ${place.bytes} bytes`);
    else lines.push(`${head}: in place of b${place.as}`);
  });
  plan.scratch.forEach((offsets, k) => {
    offsets.forEach((offset, i) => {
      const { name, scratch } = program.kernels[k]!;
      lines.push(`  scratch ${scratch[i]!.pointer.name} of ${name}: arena +${offset}, ${scratch[i]!.bytes} bytes`);
    });
  });
  return `${lines.join("\n")}\n`;
}
