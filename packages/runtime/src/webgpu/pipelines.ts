/** Compute pipelines of a device, made at the same time and each once; what the compiler rejects is told by kernel and line. */
import { computeStage } from "./usage.ts";

/** What a pipeline is made of. Equal ones share it, whatever their labels. */
export interface PipelineSource {
  readonly label: string;
  readonly code: string;
  /** How each of its buffers is declared. They come from binding 1 on, behind the gate. */
  readonly buffers: readonly ("read" | "read_write")[];
  /** Binding 0 is uniform, with an offset given for each dispatch. */
  readonly params: boolean;
  readonly gated: boolean;
}

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** A pipeline, or the one that it will be. */
export interface PipelineEntry {
  readonly ready: Promise<Pipeline>;
  made: Pipeline | undefined;
}

export class Pipelines {
  private readonly device: GPUDevice;
  private readonly gone: Promise<never>;
  private readonly known = new Map<string, PipelineEntry>();
  private readonly layouts = new Map<string, GPUBindGroupLayout>();

  /** `gone` rejects when the device is lost. */
  constructor(device: GPUDevice, gone: Promise<never>) {
    this.device = device;
    this.gone = gone;
  }

  /** How many there are. */
  get size(): number {
    return this.known.size;
  }

  /** Starts to make it, where it is not known. */
  get(source: PipelineSource): PipelineEntry {
    const { code, buffers, params, gated } = source;
    const bindings = `${params ? "p" : "-"}${gated ? "g" : "-"}${buffers.map((b) => (b === "read" ? "r" : "w")).join("")}`;
    const key = `${bindings}\n${code}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const entry: PipelineEntry = { ready: this.unlessGone(this.make(source, bindings)), made: undefined };
    this.known.set(key, entry);
    entry.ready.then(
      (made) => {
        entry.made = made;
      },
      // Who waits for it is told; who asks again tries again.
      () => this.known.delete(key),
    );
    return entry;
  }

  /** A lost device may settle nothing more, or settle it with what means nothing. */
  private async unlessGone<T>(made: Promise<T>): Promise<T> {
    made.catch(() => {});
    return Promise.race([this.gone, made]);
  }

  private async make(source: PipelineSource, bindings: string): Promise<Pipeline> {
    const { device } = this;
    const { label, code } = source;
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label, code });
    const layout = this.layoutOf(bindings);
    const pipelineLayout = device.createPipelineLayout({ label, bindGroupLayouts: [layout] });
    const rejected = device.popErrorScope();
    const compute = { module, entryPoint: "main" };
    const made = device.createComputePipelineAsync({ label, layout: pipelineLayout, compute });
    made.catch(() => {});
    const error = await rejected;
    // A layout that is none must not be found again.
    if (error !== null) this.layouts.delete(bindings);
    if (error !== null) throw new Error(await compileError(source, module, error.message));
    try {
      return { pipeline: await made, layout };
    } catch (cause) {
      throw new Error(await compileError(source, module, cause instanceof Error ? cause.message : String(cause)), {
        cause,
      });
    }
  }

  private layoutOf(bindings: string): GPUBindGroupLayout {
    let layout = this.layouts.get(bindings);
    if (layout !== undefined) return layout;
    const entries: GPUBindGroupLayoutEntry[] = [];
    const add = (buffer: GPUBufferBindingLayout): void => {
      entries.push({ binding: 0, visibility: computeStage, buffer });
    };
    if (bindings[0] === "p") add({ type: "uniform", hasDynamicOffset: true });
    if (bindings[1] === "g") add({ type: "read-only-storage" });
    for (const kind of bindings.slice(2)) add({ type: kind === "r" ? "read-only-storage" : "storage" });
    const first = bindings[0] === "p" ? 0 : 1;
    const numbered = entries.map((entry, i) => ({ ...entry, binding: first + i }));
    layout = this.device.createBindGroupLayout({ label: bindings, entries: numbered });
    this.layouts.set(bindings, layout);
    return layout;
  }
}

/** `kernel "matmul": line 12: unresolved identifier 'x'`, and that line. */
async function compileError(
  { label, code }: PipelineSource,
  module: GPUShaderModule,
  otherwise: string,
): Promise<string> {
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter(({ type }) => type === "error");
  if (errors.length === 0) return `webgpu: kernel "${label}" has no pipeline: ${otherwise}`;
  const lines = code.split("\n");
  const told = errors.map(
    ({ lineNum, linePos, message }) => `line ${lineNum}:${linePos}: ${message}\n  ${lines[lineNum - 1]?.trim() ?? ""}`,
  );
  return `webgpu: kernel "${label}" does not compile: ${told.join("\n")}`;
}
