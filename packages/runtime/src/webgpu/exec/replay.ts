/** Hands a recorded list to the device: one command encoder, one pass except where buffers are copied, one submit. */
import type { GpuMachine } from "../machine.ts";
import { usage } from "../usage.ts";
import { type DispatchOp, emptySpace, emptyTargetSpace, type Recording } from "./ops.ts";

let buffersNamed = 0;
const names = new WeakMap<GPUBuffer, number>();

/** A number for each buffer: cheap to compare. */
function nameOf(buffer: GPUBuffer): number {
  let name = names.get(buffer);
  if (name === undefined) names.set(buffer, (name = buffersNamed++));
  return name;
}

/** Bind groups are kept by what they bind; so many at most. */
const most = 4096;

export class BindGroups {
  private readonly device: GPUDevice;
  private readonly known = new Map<string, GPUBindGroup>();
  /** By dispatch: its bindings as text, without buffers. */
  private readonly shapes = new WeakMap<DispatchOp, string>();
  private readonly layouts = new WeakMap<GPUBindGroupLayout, number>();
  private layoutsNamed = 0;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  get size(): number {
    return this.known.size;
  }

  get(op: DispatchOp, memory: Memory): GPUBindGroup {
    const { layout } = op.entry.made!;
    let key = this.shapeOf(op, layout);
    if (op.params !== undefined) key += `,${nameOf(memory.params!)}`;
    for (const { space } of op.bindings) key += `,${nameOf(memory.of(space))}`;
    let group = this.known.get(key);
    if (group !== undefined) return group;
    group = this.device.createBindGroup({ label: op.label, layout, entries: entriesOf(op, memory) });
    if (this.known.size >= most) this.known.clear();
    this.known.set(key, group);
    return group;
  }

  private shapeOf(op: DispatchOp, layout: GPUBindGroupLayout): string {
    let shape = this.shapes.get(op);
    if (shape === undefined) {
      let name = this.layouts.get(layout);
      if (name === undefined) this.layouts.set(layout, (name = this.layoutsNamed++));
      const ranges = op.bindings.map(({ offset, bytes }) => `${offset}+${bytes}`).join();
      shape = `${name}:${op.params?.bytes ?? ""}:${ranges}:`;
      this.shapes.set(op, shape);
    }
    return shape;
  }
}

function entriesOf({ first, params, bindings }: DispatchOp, memory: Memory): GPUBindGroupEntry[] {
  const entries: GPUBindGroupEntry[] = [];
  if (params !== undefined)
    entries.push({ binding: 0, resource: { buffer: memory.params!, offset: 0, size: params.bytes } });
  for (const [i, { space, offset, bytes }] of bindings.entries()) {
    const buffer = memory.of(space);
    const binding = 1 + i;
    if (space === emptySpace || space === emptyTargetSpace)
      entries.push({ binding, resource: { buffer, offset: 256 * i, size: 16 } });
    else if (bytes === Number.POSITIVE_INFINITY) entries.push({ binding, resource: { buffer, offset } });
    else entries.push({ binding, resource: { buffer, offset, size: bytes } });
  }
  if (first !== (params === undefined ? 1 : 0)) throw new Error("bindings do not begin where the shader's do");
  return entries;
}

/** The buffers of one call. */
export class Memory {
  readonly params: GPUBuffer | undefined;
  private readonly slots: readonly (GPUBuffer | undefined)[];
  private readonly own: readonly (GPUBuffer | undefined)[];

  constructor(
    slots: readonly (GPUBuffer | undefined)[],
    own: {
      readonly arena: GPUBuffer | undefined;
      readonly gates: GPUBuffer | undefined;
      readonly empty: GPUBuffer;
      readonly emptyTarget: GPUBuffer;
      readonly staging: GPUBuffer | undefined;
      readonly params: GPUBuffer | undefined;
    },
  ) {
    this.slots = slots;
    this.params = own.params;
    this.own = [undefined, own.arena, own.gates, own.empty, own.staging, own.emptyTarget];
  }

  of(space: number): GPUBuffer {
    const buffer = space >= 0 ? this.slots[space] : this.own[-space];
    if (buffer === undefined) throw new Error(`webgpu: slot ${space} has no buffer`);
    return buffer;
  }
}

/** Times dispatches, each in a pass of its own. */
export interface PassTimer {
  /** The pass of a kernel's dispatch, or of one of the executor's own. */
  pass(kernel: number | undefined): GPUComputePassDescriptor;
  /** Behind all passes of a list. */
  resolve(encoder: GPUCommandEncoder): void;
  /** When the list has been submitted. */
  submitted(): void;
}

/**
 * Submits a list. `params`: where its parameters are; else they are put where those of other calls were. Gives the buffer
 * to read from where something is to be read.
 */
export function replay(
  machine: GpuMachine,
  { ops, params, arenaBytes, gateBytes, readBytes }: Recording,
  slots: readonly (GPUBuffer | undefined)[],
  groups: BindGroups,
  fixedParams: GPUBuffer | undefined,
  timer?: PassTimer,
): GPUBuffer | undefined {
  const { device } = machine;
  let table = fixedParams;
  if (table === undefined && params.length > 0) {
    table = machine.working("params", params.byteLength);
    machine.write(table, 0, params);
  }
  const gates = gateBytes === 0 ? undefined : machine.working("gates", gateBytes);
  if (gates !== undefined) machine.write(gates, 0, Uint32Array.of(1));
  const staging = readBytes === 0 ? undefined : machine.staging.take(readBytes);
  const arena = machine.working("arena", Math.max(arenaBytes, 16));
  const memory = new Memory(slots, {
    arena,
    gates,
    empty: machine.working("empty", 8192),
    emptyTarget: machine.working("emptyTarget", 8192),
    staging,
    params: table,
  });
  const encoder = device.createCommandEncoder();
  encode(machine, encoder, ops, memory, groups, timer);
  timer?.resolve(encoder);
  machine.submit(encoder);
  timer?.submitted();
  return staging;
}

/** Working memory of commands that somebody else submits, at a time that nobody tells: nothing else uses it. */
export class OwnMemory {
  private readonly machine: GpuMachine;
  private readonly buffers = new Map<string, GPUBuffer>();

  constructor(machine: GpuMachine) {
    this.machine = machine;
  }

  /** At least `bytes`. What grows is another buffer: commands that use the old one may be submitted yet. */
  get(name: string, bytes: number): GPUBuffer {
    let buffer = this.buffers.get(name);
    if (buffer === undefined || buffer.size < bytes) {
      const size = Math.ceil(Math.max(bytes, 16) / 16) * 16;
      buffer = this.machine.device.createBuffer({ label: `recorded ${name}`, size, usage: usage.memory });
      this.buffers.set(name, buffer);
    }
    return buffer;
  }
}

/** Adds a list to the commands of somebody else. */
export function recordInto(
  encoder: GPUCommandEncoder,
  machine: GpuMachine,
  { ops, arenaBytes, gateBytes }: Recording,
  slots: readonly (GPUBuffer | undefined)[],
  groups: BindGroups,
  own: OwnMemory,
  params: GPUBuffer | undefined,
): void {
  const gates = gateBytes === 0 ? undefined : own.get("gates", gateBytes);
  // Nobody writes the first gate, which is always open.
  if (gates !== undefined) machine.write(gates, 0, Uint32Array.of(1));
  const arena = own.get("arena", arenaBytes);
  const memory = new Memory(slots, {
    arena,
    gates,
    empty: own.get("empty", 8192),
    emptyTarget: own.get("emptyTarget", 8192),
    staging: undefined,
    params,
  });
  encode(machine, encoder, ops, memory, groups);
}

function encode(
  machine: GpuMachine,
  encoder: GPUCommandEncoder,
  ops: Recording["ops"],
  memory: Memory,
  groups: BindGroups,
  timer?: PassTimer,
): void {
  let pass: GPUComputePassEncoder | undefined;
  let set: GPUComputePipeline | undefined;
  let dispatches = 0;
  let helpers = 0;
  for (const op of ops) {
    if (op.kind === "copy") {
      pass?.end();
      pass = undefined;
      const [from, to] = [memory.of(op.from.space), memory.of(op.to.space)];
      encoder.copyBufferToBuffer(from, op.from.offset, to, op.to.offset, op.bytes);
      continue;
    }
    if (timer !== undefined) {
      pass?.end();
      pass = undefined;
    }
    if (pass === undefined) {
      pass = encoder.beginComputePass(timer?.pass(op.kernel));
      set = undefined;
    }
    const { pipeline } = op.entry.made!;
    if (set !== pipeline) pass.setPipeline((set = pipeline));
    const group = groups.get(op, memory);
    if (op.params === undefined) pass.setBindGroup(0, group);
    else pass.setBindGroup(0, group, [op.params.offset]);
    pass.dispatchWorkgroups(op.x, op.y);
    if (op.kernel === undefined) helpers++;
    else dispatches++;
  }
  pass?.end();
  machine.count(dispatches, helpers);
}
