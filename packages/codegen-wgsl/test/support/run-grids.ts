// Runs kernels of hand-made grids on whatever adapter there is, on plain typed arrays.
import {
  type BufferDecl,
  type DType,
  type Grid,
  type LoopFunc,
  type LoopProgram,
  loop,
  type Plan,
  type TypedArray,
  type WebgpuFeatures,
  type WebgpuProgram,
} from "@sinter/ir";
import { create, globals } from "webgpu";
import { emit } from "../../src/emit/program.ts";
import { leastFeatures } from "./features.ts";

Object.assign(globalThis, globals);
/** Kept: what comes from it does not outlive it. Threads clear their memory: software Vulkan compiles that far quicker. */
const gpu = create(["disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension"]);

let found: Promise<GPUDevice | undefined> | undefined;

/** The device of the first adapter; prints why nothing runs where there is none. */
export function testDevice(): Promise<GPUDevice | undefined> {
  return (found ??= (async () => {
    const adapter = await gpu.requestAdapter();
    if (adapter === null) {
      const reason = "no WebGPU adapter: kernels of hand-made grids do not run";
      if (process.env["SINTER_REQUIRE_WEBGPU"] === "1") throw new Error(reason);
      console.log(reason);
      return undefined;
    }
    const wanted: GPUFeatureName[] = ["subgroups"];
    return adapter.requestDevice({ requiredFeatures: wanted.filter((f) => adapter.features.has(f)) });
  })());
}

/** A program of one kernel: its pointers are the program's results, which are also read. */
export function programOf(
  funcs: readonly LoopFunc[],
  grids: readonly Grid[],
  lengths: readonly number[],
): { program: LoopProgram; plan: Plan } {
  const entry = funcs[0]!;
  const buffers = entry.pointers.map(
    (p, id): BufferDecl => ({
      id,
      name: p.name,
      dtype: p.element as DType,
      shape: [lengths[id]!],
      kind: "result",
      slot: id,
    }),
  );
  const ids = buffers.map((b) => b.id);
  const kernel = {
    name: entry.name,
    funcs,
    grids,
    buffers: ids,
    scratch: [],
    writes: ids,
    aliasable: [],
    flops: 0,
    schedule: "test",
  };
  const steps = [{ kind: "kernel", kernel: 0, nodes: [] }] as const;
  return {
    program: { name: entry.name, buffers, kernels: [kernel], steps, calls: [] },
    plan: {
      arenaBytes: 0,
      alignment: 256,
      places: buffers.map((b) => ({ kind: "slot", slot: b.id + 1, bytes: lengths[b.id]! * 4 })),
      scratch: [[]],
    },
  };
}

/** Elements as the device has them: bool is a word. */
const words = (a: TypedArray): TypedArray => (a instanceof Uint8Array ? Uint32Array.from(a) : a);

/** Runs one kernel's grids on arrays, in pointer order, and copies them back. */
export async function runGrids(
  device: GPUDevice,
  funcs: readonly LoopFunc[],
  grids: readonly Grid[],
  arrays: readonly TypedArray[],
  target: WebgpuFeatures = leastFeatures,
): Promise<WebgpuProgram> {
  const { program, plan } = programOf(
    funcs,
    grids,
    arrays.map((a) => a.length),
  );
  const compiled = emit(program, plan, target);
  const buffers = arrays.map((array) => {
    const data = words(array);
    const size = Math.max(16, Math.ceil(data.byteLength / 16) * 16);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = device.createBuffer({ size, usage });
    device.queue.writeBuffer(buffer, 0, data as BufferSource);
    return buffer;
  });
  const pipelines = await Promise.all(
    compiled.shaders.map(async ({ code }) => {
      const module = device.createShaderModule({ code });
      const { messages } = await module.getCompilationInfo();
      const errors = messages.filter((m) => m.type === "error");
      if (errors.length > 0) throw new Error(`${errors.map((m) => `${m.lineNum}: ${m.message}`).join("\n")}\n${code}`);
      return device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } });
    }),
  );
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (const step of compiled.steps) {
    if (step.kind !== "dispatch") continue;
    const pipeline = pipelines[step.shader]!;
    pass.setPipeline(pipeline);
    const entries = step.ranges.map((range, i) => ({
      binding: i + 1,
      resource: { buffer: buffers[range.kind === "buffer" ? range.buffer : 0]! },
    }));
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    const groups = step.groups as number;
    const most = target.limits.maxComputeWorkgroupsPerDimension;
    pass.dispatchWorkgroups(Math.min(groups, most), Math.ceil(groups / most));
  }
  pass.end();
  const reads = buffers.map((buffer) => {
    const read = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    encoder.copyBufferToBuffer(buffer, 0, read, 0, buffer.size);
    return read;
  });
  device.queue.submit([encoder.finish()]);
  await Promise.all(
    reads.map(async (read, i) => {
      const array = arrays[i]!;
      await read.mapAsync(GPUMapMode.READ);
      const bytes = read.getMappedRange();
      const data = array instanceof Uint8Array ? new Uint32Array(bytes) : new Uint8Array(bytes);
      const into =
        array instanceof Uint8Array ? array : new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      into.set(data.subarray(0, into.length));
      read.destroy();
    }),
  );
  for (const buffer of buffers) buffer.destroy();
  return compiled;
}

/** The entry of a kernel of one grid: its first two parameters are group and thread. */
export function gridFunc(
  name: string,
  pointers: readonly (readonly [string, DType])[],
  body: (
    f: loop.FuncBuilder,
    pointers: readonly ReturnType<loop.FuncBuilder["pointer"]>[],
    group: ReturnType<loop.FuncBuilder["param"]>,
    thread: ReturnType<loop.FuncBuilder["param"]>,
  ) => void,
): LoopFunc {
  const f = new loop.FuncBuilder(name);
  const made = pointers.map(([text, dtype]) => f.pointer(text, dtype));
  const [group, thread] = [f.param("group"), f.param("thread")];
  body(f, made, group, thread);
  return f.finish();
}
