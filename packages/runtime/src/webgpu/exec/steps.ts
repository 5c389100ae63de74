/** What the steps of a program ask of whoever runs them. */
import { type DeviceStep, dimValue, type WebgpuProgram } from "@sinter/ir/program";
import type { PipelineSource } from "../pipelines.ts";
import { branchShader, exchangeShader, moveShader, testShader } from "./helpers.ts";

/** Dispatches and copies that one list holds. What is longer is submitted in parts, and not kept. */
export const longList = 16384;

function bodiesOf(step: DeviceStep): readonly (readonly DeviceStep[])[] {
  switch (step.kind) {
    case "if":
      return step.branches;
    case "for":
      return [step.body];
    case "while":
      return [step.test, step.body];
    default:
      return [];
  }
}

/** The executor's own shaders that a program may need. */
export function helpersOf(program: WebgpuProgram): PipelineSource[] {
  const kinds = new Set<DeviceStep["kind"]>();
  const visit = (step: DeviceStep): void => {
    kinds.add(step.kind);
    for (const inner of bodiesOf(step).flat()) visit(inner);
  };
  program.steps.forEach(visit);
  const moves = kinds.has("copy") || kinds.has("host");
  const gated = kinds.has("if") || kinds.has("while");
  const out: PipelineSource[] = [];
  if (moves) out.push(moveShader(false, false), moveShader(false, true));
  if (moves && gated) out.push(moveShader(true, false), moveShader(true, true));
  if (kinds.has("if")) out.push(branchShader());
  if (kinds.has("while")) out.push(testShader());
  if (kinds.has("if") && kinds.has("swap")) out.push(exchangeShader());
  return out;
}

/** Steps that cannot be recorded as a part of a list: they need a value on the host, or hold one that does, or are too long. */
export function waitingSteps(program: WebgpuProgram, sizes: ReadonlyMap<string, number>): ReadonlySet<DeviceStep> {
  const out = new Set<DeviceStep>();
  /** Gives how long it is as a list. */
  const visit = (step: DeviceStep): number => {
    const inside = bodiesOf(step)
      .flat()
      .reduce((n, inner) => n + visit(inner), 1);
    const length = step.kind === "for" ? inside * dimValue(step.count, sizes) : inside;
    const asks = step.kind === "while" || (step.kind === "host" && program.calls[step.call]!.kind === "call");
    const holds = bodiesOf(step).some((body) => body.some((inner) => out.has(inner)));
    if (asks || holds || (step.kind === "for" && length > longList)) out.add(step);
    return length;
  };
  program.steps.forEach(visit);
  return out;
}
