/** The control tree of a program, each kernel of nests replaced by its loops: the same for every target. */
import type { HostCall, Kernel, LoopKernel, LoopProgram, LoopStep, NestProgram, NestStep } from "../index.ts";

/** `loopsOf` is called once for each kernel step, in the order of the text. */
export function scheduleSteps(program: NestProgram, loopsOf: (kernel: Kernel) => LoopKernel): LoopProgram {
  const kernels: LoopKernel[] = [];
  const calls: HostCall[] = [];
  const steps = (list: readonly NestStep[]): LoopStep[] => list.map(step);
  const step = (s: NestStep): LoopStep => {
    switch (s.kind) {
      case "kernel":
        return { kind: "kernel", kernel: kernels.push(loopsOf(s.kernel)) - 1, nodes: s.nodes };
      case "host":
        return { ...s, call: calls.push(s.call) - 1 };
      case "copy":
      case "swap":
        return s;
      case "if":
        return { kind: "if", index: s.index, branches: s.branches.map(steps) };
      case "for":
        return { kind: "for", count: s.count, counter: s.counter, body: steps(s.body) };
      case "while":
        return { kind: "while", test: steps(s.test), predicate: s.predicate, body: steps(s.body) };
      default:
        return s satisfies never;
    }
  };
  return { name: program.name, buffers: program.buffers, steps: steps(program.steps), kernels, calls };
}
