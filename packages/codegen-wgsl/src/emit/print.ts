/** The steps of a program on a device as text: dispatches in order, inside the loops and branches around them. */
import { type DeviceRange, type DeviceStep, type Dim, hostCallText, type LoopProgram, type Shader } from "@sinter/ir";

type Dispatch = Extract<DeviceStep, { kind: "dispatch" }>;

/** All dispatches, those of loops once, in order. */
export function visitDispatches(steps: readonly DeviceStep[], visit: (step: Dispatch) => void): void {
  for (const step of steps) {
    if (step.kind === "dispatch") visit(step);
    else if (step.kind === "if") for (const branch of step.branches) visitDispatches(branch, visit);
    else if (step.kind === "for") visitDispatches(step.body, visit);
    else if (step.kind === "while") for (const body of [step.test, step.body]) visitDispatches(body, visit);
  }
}

const text = (size: Dim): string => (typeof size === "number" ? String(size) : size.key);

/** `loops`: what the steps were made from; copies of packed buffers have numbers behind those of its buffers. */
export function printDispatches(steps: readonly DeviceStep[], loops: LoopProgram, shaders: readonly Shader[]): string {
  const lines: string[] = [];
  const bound = (range: DeviceRange, access: string): string =>
    `${access === "read" ? "" : "&"}${range.kind === "buffer" ? `b${range.buffer}` : `scratch +${text(range.offset)}`}`;
  const visit = (list: readonly DeviceStep[], indent: string): void => {
    const add = (line: string): void => void lines.push(`${indent}${line}`);
    for (const step of list)
      switch (step.kind) {
        case "dispatch": {
          const { buffers } = shaders[step.shader]!;
          const { name } = loops.kernels[step.kernel]!;
          const ranges = step.ranges.map((range, i) => bound(range, buffers[i]!)).join(", ");
          const groups = typeof step.groups === "number" && step.groups === 1 ? "group" : "groups";
          add(`dispatch ${name}: shader ${step.shader}, ${text(step.groups)} ${groups} (${ranges})`);
          break;
        }
        case "host": {
          const names = (ids: readonly number[]): string => ids.map((id) => `b${id}`).join(", ");
          add(`${hostCallText(loops.calls[step.call]!)} (${names(step.operands)}) to (${names(step.results)})`);
          break;
        }
        case "copy":
          add(`copy b${step.from} to b${step.to}`);
          break;
        case "swap":
          add(`swap b${step.a} with b${step.b}`);
          break;
        case "if":
          step.branches.forEach((branch, i) => {
            add(`if b${step.index} is ${i}`);
            visit(branch, `${indent}  `);
          });
          break;
        case "for":
          add(`for b${step.counter} below ${text(step.count)}`);
          visit(step.body, `${indent}  `);
          break;
        case "while":
          add(`while b${step.predicate}`);
          visit(step.test, `${indent}  `);
          add("do");
          visit(step.body, `${indent}  `);
          break;
        default:
          step satisfies never;
      }
  };
  visit(steps, "");
  return lines.length === 0 ? "nothing to dispatch\n" : `${lines.join("\n")}\n`;
}
