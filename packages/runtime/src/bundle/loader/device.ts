/**
 * The part of a bundle's loader that runs shaders: `webgpu.js`, which is loaded only where it is needed. Beside the executor
 * it knows what a call does with variables; arguments and results are elements by number.
 */
import { type DType, dimValue, type HostValue, type TypedArray } from "@sinter/ir/program";
import { fromDevice } from "../../webgpu/data.ts";
import { type GpuExecutable, instantiateOnGpu } from "../../webgpu/exec/program.ts";
import { GpuMachine } from "../../webgpu/machine.ts";
import type { GpuBlock } from "../../webgpu/pool.ts";
import type { DispatchPlan } from "../dispatch.ts";
import type { FunctionEntry, Manifest, Source } from "../manifest.ts";
import { programOf, shadersIn } from "./plan.ts";

/** What programs of a bundle are made of. */
export interface DeviceParts {
  readonly manifest: Manifest;
  readonly plan: DispatchPlan;
  /** kernels.wgsl */
  readonly kernels: string;
  readonly device: GPUDevice;
}

/** The functions of a bundle on a device. */
export interface DeviceBundle {
  /**
   * A program with memory of its own. `contents` are those of variables, then of constants, in the order of the manifest;
   * `print` takes what it prints.
   */
  start(
    contents: readonly TypedArray[],
    print: (format: readonly string[], values: readonly HostValue[]) => void,
  ): DeviceProgram;
}

/** What a call gives. */
export interface Answer {
  /** 0, or the number of the check that failed; then no variable has changed. */
  readonly failed: number;
  /** The tensors of the result, by number. */
  readonly values: readonly TypedArray[];
}

/** Everything is done in the order in which it was asked for. What goes wrong rejects, and is told as the device tells it. */
export interface DeviceProgram {
  /** Calls function number `f`; `sizes` are by position in its own, and what is in `args` is copied now. */
  call(f: number, sizes: readonly number[], args: readonly TypedArray[]): Promise<Answer>;
  /** A copy of a variable's value. */
  read(variable: number): Promise<TypedArray>;
  /** Gives a variable a value, which is copied now. */
  write(variable: number, value: TypedArray): Promise<void>;
  /** Lets go of its memory, when all that was asked for is done. */
  dispose(): void;
}

/** Makes the pipelines; rejects with what the compiler of the device says. */
export async function open({ manifest, plan, kernels, device }: DeviceParts): Promise<DeviceBundle> {
  const machine = await GpuMachine.acquire({ device });
  const codes = shadersIn(kernels);
  if (codes.length !== plan.shaders.length)
    throw new Error(`has ${codes.length} shaders, where ${plan.shaders.length} are dispatched`);
  const functions = manifest.functions.map((entry, i): DeviceFunction => {
    const own = plan.functions[i]!;
    return { entry, executable: instantiateOnGpu(machine, programOf(own, plan, codes)), constants: own.constants };
  });
  await Promise.all(functions.map(({ executable }) => executable.ready));
  return { start: (contents, print) => new Running(machine, manifest, functions, contents, print) };
}

interface DeviceFunction {
  readonly entry: FunctionEntry;
  readonly executable: GpuExecutable;
  /** By `index` of slots of kind const: the manifest's constant. */
  readonly constants: readonly number[];
}

/** Memory that several variables, constants and calls may have. Nobody changes what is in it. */
class Shared {
  readonly block: GpuBlock;
  private readonly machine: GpuMachine;
  private uses = 1;

  constructor(machine: GpuMachine, block: GpuBlock) {
    this.machine = machine;
    this.block = block;
  }

  retain(): Shared {
    this.uses++;
    return this;
  }

  release(): void {
    if (--this.uses === 0) this.machine.release(this.block);
  }
}

class Running implements DeviceProgram {
  private readonly machine: GpuMachine;
  private readonly manifest: Manifest;
  private readonly functions: readonly DeviceFunction[];
  private readonly print: (format: readonly string[], values: readonly HostValue[]) => void;
  private readonly variables: Shared[];
  private readonly constants: readonly Shared[];
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    machine: GpuMachine,
    manifest: Manifest,
    functions: readonly DeviceFunction[],
    contents: readonly TypedArray[],
    print: Running["print"],
  ) {
    const { variables, constants } = manifest;
    this.machine = machine;
    this.manifest = manifest;
    this.functions = functions;
    this.print = print;
    const all = [...variables, ...constants].map(({ dtype }, i) => this.upload(dtype, contents[i]!));
    this.variables = all.slice(0, variables.length);
    this.constants = all.slice(variables.length);
  }

  call(f: number, sizes: readonly number[], args: readonly TypedArray[]): Promise<Answer> {
    const { entry, executable } = this.functions[f]!;
    const dtypes = new Map(executable.slots.flatMap((s) => (s.kind === "arg" ? [[s.index, s.dtype] as const] : [])));
    const own = args.map((data, i) => this.upload(dtypes.get(i)!, data));
    // What comes back as it is, as it is now.
    const given = new Map(
      entry.outs.flatMap(({ kind, index }) => (kind === "arg" ? [[index, args[index]!.slice()]] : [])),
    );
    return this.inTurn(() => this.launch(this.functions[f]!, sizes, own, given)).then((answer) => answer());
  }

  read(variable: number): Promise<TypedArray> {
    const { dtype, shape } = this.manifest.variables[variable]!;
    return this.inTurn(async () => {
      const home = this.variables[variable]!.retain();
      const length = shape.reduce((n, size) => n * size, 1);
      const data = this.machine.download(home.block, dtype, length).finally(() => home.release());
      // Others need not wait for it.
      data.catch(() => {});
      return () => data;
    }).then((data) => data());
  }

  async write(variable: number, value: TypedArray): Promise<void> {
    const fresh = this.upload(this.manifest.variables[variable]!.dtype, value);
    await this.inTurn(async () => this.become(variable, fresh));
  }

  dispose(): void {
    void this.inTurn(async () => {
      for (const shared of [...this.variables, ...this.constants]) shared.release();
    });
  }

  private inTurn<T>(turn: () => Promise<T>): Promise<T> {
    const done = this.last.then(turn);
    this.last = done.catch(() => {});
    return done;
  }

  private upload(dtype: DType, data: TypedArray): Shared {
    return new Shared(this.machine, this.machine.upload(dtype, data));
  }

  /** Gives a variable memory that it keeps. */
  private become(variable: number, home: Shared): void {
    this.variables[variable]!.release();
    this.variables[variable] = home;
  }

  /** Resolves when the next call may begin; gives what resolves when its results are here. */
  private async launch(
    { entry, executable, constants }: DeviceFunction,
    sizes: readonly number[],
    args: readonly Shared[],
    given: ReadonlyMap<number, TypedArray>,
  ): Promise<() => Promise<Answer>> {
    const { slots } = executable;
    const { states, outs, check } = entry;
    const bound = new Map((entry.sizes ?? []).map(({ name }, i) => [name, sizes[i]!]));
    const fresh: Shared[] = [...args];
    try {
      const homes = slots.map(({ kind, index, bytes }): Shared | undefined => {
        if (kind === "arg") return args[index];
        if (kind === "const") return this.constants[constants[index]!];
        if (kind === "state") return this.variables[states[index]!.variable];
        if (kind === "arena" || kind === "sym") return undefined;
        const made = new Shared(this.machine, this.machine.allocate(dimValue(bytes, bound)));
        fresh.push(made);
        return made;
      });
      const at = ({ kind, index }: Source): number => slots.findIndex((s) => s.kind === kind && s.index === index);
      const reads = [
        ...(check === undefined ? [] : [at({ kind: "result", index: check.result })]),
        ...outs.flatMap((out) => (out.kind === "arg" ? [] : [at(out)])),
      ];
      const words = slots.map(({ kind, name }) => (kind === "sym" ? bound.get(name!)! : 0));
      const { submitted, contents } = executable.run(
        homes.map((home) => home?.block.buffer),
        words,
        reads,
        (call, values) => {
          if (call.kind === "print") this.print(call.format, values);
          return [];
        },
      );
      contents.catch(() => {});
      await submitted;
      const failed = check === undefined ? 0 : new Int32Array((await contents)[0]!)[0]!;
      if (failed !== 0) return async () => ({ failed, values: [] });
      // All are taken before any changes.
      const next = states.flatMap(({ variable, out, from }) => {
        const source = out >= 0 ? ({ kind: "stateOut", index: out } as const) : from;
        return source === undefined ? [] : [[variable, homes[at(source)]!.retain()] as const];
      });
      for (const [variable, home] of next) this.become(variable, home);
      return async () => {
        const found = await contents;
        this.machine.check();
        let position = check === undefined ? 0 : 1;
        const values = outs.map((out) => {
          if (out.kind === "arg") return given.get(out.index)!;
          const bytes = found[position++]!;
          return fromDevice(slots[at(out)]!.dtype, bytes, 0, bytes.byteLength / 4);
        });
        return { failed, values };
      };
    } finally {
      for (const shared of fresh) shared.release();
    }
  }
}
