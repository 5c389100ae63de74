/** A memory plan as text: where each buffer lies, when it lives, what shares its place; and the steps that run over it. */
import { type Dim, hostCallText, type LoopProgram, type LoopStep, type Plan } from "@sinter/ir";

const text = (size: Dim): string => (typeof size === "number" ? String(size) : size.key);

export function printPlan(program: LoopProgram, plan: Plan): string {
  const lines = [`plan ${program.name}: arena ${text(plan.arenaBytes)} bytes, aligned to ${plan.alignment}`];
  program.buffers.forEach((buffer, i) => {
    const place = plan.places[i];
    const head = `  b${buffer.id} ${buffer.kind} ${buffer.name} ${buffer.dtype}[${buffer.shape.map(text).join(",")}]`;
    if (buffer.slice !== undefined) lines.push(`${head}: at b${buffer.slice.counter} of b${buffer.slice.of}`);
    if (place === undefined || place.kind === "none") return;
    if (place.kind === "arena")
      lines.push(
        `${head}: arena +${text(place.offset)}, ${text(place.bytes)} bytes, steps ${place.firstStep} to ${place.lastStep}`,
      );
    else if (place.kind === "slot") lines.push(`${head}: slot ${place.slot}, ${text(place.bytes)} bytes`);
    else lines.push(`${head}: in place of b${place.as}`);
  });
  plan.scratch.forEach((offsets, k) => {
    offsets.forEach((offset, i) => {
      const { name, scratch } = program.kernels[k]!;
      lines.push(
        `  scratch ${scratch[i]!.pointer.name} of ${name}: arena +${text(offset)}, ${text(scratch[i]!.bytes)} bytes`,
      );
    });
  });
  stepLines(program, program.steps, "  ", lines);
  return `${lines.join("\n")}\n`;
}

/** Numbered as lifetimes count them: a loop's end is a step too. */
function stepLines(
  program: LoopProgram,
  steps: readonly LoopStep[],
  indent: string,
  lines: string[],
  from = 0,
): number {
  let next = from;
  const add = (text: string): void => {
    lines.push(`${indent}step ${next++}: ${text}`);
  };
  const inner = (list: readonly LoopStep[]): void => {
    next = stepLines(program, list, `${indent}  `, lines, next);
  };
  for (const step of steps) {
    switch (step.kind) {
      case "kernel":
        add(program.kernels[step.kernel]!.name);
        break;
      case "host": {
        const names = (ids: readonly number[]): string => ids.map((id) => `b${id}`).join(", ");
        add(`${hostCallText(program.calls[step.call]!)} (${names(step.operands)}) to (${names(step.results)})`);
        break;
      }
      case "copy":
        add(`copy b${step.from} to b${step.to}`);
        break;
      case "swap":
        add(`swap b${step.a} with b${step.b}`);
        break;
      case "if":
        add(`if by b${step.index}`);
        step.branches.forEach((branch, i) => {
          lines.push(`${indent}branch ${i}`);
          inner(branch);
        });
        break;
      case "for":
        add(`for b${step.counter} below ${text(step.count)}`);
        inner(step.body);
        add("end");
        break;
      case "while":
        add(`while b${step.predicate}`);
        inner(step.test);
        if (step.test.length > 0) lines.push(`${indent}do`);
        inner(step.body);
        add("end");
        break;
      default:
        step satisfies never;
    }
  }
  return next;
}
