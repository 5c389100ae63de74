/** A scheduled program and its memory plan as shaders and the steps that dispatch them. */
import {
  type DeviceBuffer,
  type DeviceStep,
  type LoopProgram,
  type LoopStep,
  type Plan,
  type Shader,
  sizeOf,
  type WebgpuFeatures,
  type WebgpuProgram,
} from "@sinter/ir";
import { bindKernel, type KernelBinding } from "./bind.ts";
import { gridCode } from "./module.ts";
import { Packing } from "./packing.ts";
import { printDispatches, visitDispatches } from "./print.ts";
import { slotsOf } from "./slots.ts";
import { KernelError } from "./types.ts";

/** Compiles scheduled loops and their memory plan to WGSL. Throws a `KernelError` where the device cannot run a kernel. */
export function emit(program: LoopProgram, plan: Plan, features: WebgpuFeatures): WebgpuProgram {
  const emitter = new Emitter(program, plan, features);
  const steps = emitter.steps(program.steps, false);
  for (const { name, dtype } of program.buffers)
    if (dtype === "f64") throw new KernelError(`${name}: f64 is not available on webgpu; cast to f32`);
  const slots = slotsOf(program, emitter.packing.arena.bytes);
  return {
    kind: "webgpu",
    name: program.name,
    shaders: emitter.shaders,
    steps,
    slots,
    arenaBytes: emitter.packing.arena.bytes,
    buffers: [
      ...program.buffers.map((decl, id): DeviceBuffer => {
        const { slice, shape, dtype } = decl;
        return { id, place: plan.places[id]!, ...(slice ? { slice } : {}), elements: sizeOf(shape), dtype };
      }),
      ...emitter.packing.shadows,
    ],
    kernels: program.kernels.length,
    calls: program.calls,
    constants: program.buffers.flatMap((b) =>
      b.kind === "const" && b.data !== undefined
        ? [{ slot: slots.findIndex((s) => s.kind === "const" && s.index === b.slot), data: b.data }]
        : [],
    ),
  };
}

export interface ProgramText {
  /** All modules, each under its number and the names of the kernels that run it. */
  readonly module: string;
  /** Of each kernel: the modules of its grids. */
  readonly kernels: readonly string[];
  /** The dispatches in order, with what each binds. */
  readonly run: string;
}

/** A program's WGSL for people, each shader under a comment for each kernel that runs it. `loops`: what it was made from. */
export function emitText(
  { shaders, steps }: WebgpuProgram,
  loops: LoopProgram,
  comments: readonly string[] = [],
): ProgramText {
  const used = loops.kernels.map(() => new Set<number>());
  visitDispatches(steps, ({ kernel, shader }) => used[kernel]!.add(shader));
  const heads = shaders.map(() => [] as string[]);
  used.forEach((list, kernel) => {
    const comment = comments[kernel] ?? "";
    const head = comment === "" ? loops.kernels[kernel]!.name : comment;
    [...list].forEach((shader, i) => {
      heads[shader]!.push(list.size === 1 ? head : `${head} (grid ${i + 1} of ${list.size})`);
    });
  });
  const code = shaders.map((shader, i) => `// ${i}: ${heads[i]!.join("\n//    ")}\n${shader.code}`);
  return {
    module: code.length === 0 ? `// ${loops.name}: no kernels\n` : code.join("\n"),
    kernels: used.map((list) => [...list].map((i) => shaders[i]!.code).join("\n")),
    run: printDispatches(steps, loops, shaders),
  };
}

class Emitter {
  readonly shaders: Shader[] = [];
  readonly packing: Packing;
  private readonly program: LoopProgram;
  private readonly features: WebgpuFeatures;
  private readonly known = new Map<string, number>();
  /** The dispatches of kernels, under a gate and not. */
  private readonly dispatches = new Map<string, readonly DeviceStep[]>();

  constructor(program: LoopProgram, plan: Plan, features: WebgpuFeatures) {
    this.program = program;
    this.features = features;
    this.packing = new Packing(program, plan, features);
  }

  steps(list: readonly LoopStep[], gated: boolean): readonly DeviceStep[] {
    return list.flatMap((step) => this.step(step, gated));
  }

  private step(s: LoopStep, gated: boolean): readonly DeviceStep[] {
    switch (s.kind) {
      case "kernel":
        return this.kernel(s.kernel, gated);
      case "host":
        return [{ kind: "host", call: s.call, operands: s.operands, results: s.results }];
      case "copy":
      case "swap":
        return [s];
      case "if":
        return [{ kind: "if", index: s.index, branches: s.branches.map((b) => this.steps(b, true)) }];
      case "for":
        return [{ kind: "for", count: s.count, counter: s.counter, body: this.steps(s.body, gated) }];
      case "while": {
        const [test, body] = [this.steps(s.test, true), this.steps(s.body, true)];
        return [{ kind: "while", test, predicate: s.predicate, body }];
      }
      default:
        return s satisfies never;
    }
  }

  private kernel(index: number, gated: boolean): readonly DeviceStep[] {
    const key = `${index} ${gated}`;
    let found = this.dispatches.get(key);
    if (found === undefined) {
      try {
        found = this.dispatch(index, gated);
      } catch (error) {
        if (!(error instanceof KernelError) || error.kernel !== undefined) throw error;
        error.kernel = index;
        error.message = `kernel ${this.program.kernels[index]!.name}: ${error.message}`;
        throw error;
      }
      this.dispatches.set(key, found);
    }
    return found;
  }

  private dispatch(index: number, gated: boolean): readonly DeviceStep[] {
    const kernel = this.program.kernels[index]!;
    const { features, packing } = this;
    if (kernel.grids === undefined) throw new Error(`kernel ${kernel.name} has no grids`);
    const copies = new Map<number, KernelBinding["copies"][number]>();
    const dispatches = kernel.grids.map((grid): DeviceStep => {
      const bound = bindKernel(packing, kernel, index, grid, gated);
      const { bindings, pointers, params, ranges, syms } = bound;
      for (const copy of bound.copies) copies.set(copy.buffer, copy);
      const words = params.length;
      const code = gridCode({ kernel, grid, bindings, pointers, words, syms, gated, features });
      const shader = this.shader({
        label: kernel.name,
        code,
        buffers: bindings.map((b) => b.access),
        params: words > 0,
        gated,
      });
      return { kind: "dispatch", shader, ranges, params, groups: grid.groups, kernel: index };
    });
    const into = [...copies.values()].map(
      ({ buffer, shadow }) => ({ kind: "copy", from: buffer, to: shadow }) as const,
    );
    const back = [...copies.values()].flatMap(({ buffer, shadow, back }) =>
      back ? [{ kind: "copy", from: shadow, to: buffer } as const] : [],
    );
    return [...into, ...dispatches, ...back];
  }

  private shader(shader: Shader): number {
    let index = this.known.get(shader.code);
    if (index === undefined) {
      index = this.shaders.push(shader) - 1;
      this.known.set(shader.code, index);
    }
    return index;
  }
}
