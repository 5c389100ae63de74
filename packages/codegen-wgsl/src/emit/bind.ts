/** What a kernel's pointers are bound to: ranges of memory, one for each place, and words of `Params`. */
import {
  type DeviceRange,
  type Grid,
  isMultiple,
  type LoopKernel,
  type LoopProgram,
  type ParamWord,
  type Plan,
  sizeOf,
  symsIn,
  type WebgpuFeatures,
} from "@sinter/ir";
import type { BindingSpec, PointerSpec } from "./module.ts";
import { KernelError, storedScalar, type Word } from "./types.ts";

interface Request {
  readonly program: LoopProgram;
  readonly plan: Plan;
  readonly features: WebgpuFeatures;
  /** Counters of loops, which are words and not memory. */
  readonly counters: ReadonlySet<number>;
  /** Buffers that change places with others. */
  readonly moving: ReadonlySet<number>;
  readonly kernel: LoopKernel;
  /** Its position in the program. */
  readonly index: number;
  readonly grid: Grid;
  readonly gated: boolean;
}

export interface KernelBinding {
  readonly bindings: readonly BindingSpec[];
  readonly pointers: readonly PointerSpec[];
  readonly params: readonly ParamWord[];
  readonly ranges: readonly DeviceRange[];
  /** Words of the symbolic sizes. */
  readonly syms: ReadonlyMap<string, number>;
}

interface Draft {
  readonly range: DeviceRange;
  readonly access: BindingSpec["access"];
  readonly stored: Set<Word>;
}

export function bindKernel(request: Request): KernelBinding {
  const { program, plan, features, counters, moving, kernel, index, grid, gated } = request;
  const decls = program.buffers;
  const params: ParamWord[] = [];
  const syms = new Map<string, number>();
  for (const name of new Set([...(kernel.syms ?? []), ...symsIn(grid.groups).keys()]))
    syms.set(name, params.push({ kind: "sym", name }) - 1);

  /** The buffer whose memory it is in, behind slices and places that are shared. */
  const root = (id: number): number => {
    const { slice } = decls[id]!;
    if (slice !== undefined) return root(slice.of);
    // What steps exchange is in its place at the beginning only.
    if (moving.has(id)) return id;
    const place = plan.places[id];
    return place?.kind === "same" ? root(place.as) : id;
  };
  const written = new Set(kernel.writes.map(root));
  const isFixed = (id: number): boolean => {
    const { kind } = decls[id]!;
    return (kind === "arg" || kind === "const" || kind === "state") && !written.has(id) && !moving.has(id);
  };
  const isAligned = (id: number): boolean => {
    const { slice, shape } = decls[id]!;
    return slice === undefined || (isMultiple(sizeOf(shape), 4) && isAligned(slice.of));
  };

  const drafts: Draft[] = [];
  const byRoot = new Map<number, number>();
  const words = new Map<number, number>();
  const word = (id: number, make: () => ParamWord): number => {
    let found = words.get(id);
    if (found === undefined) words.set(id, (found = params.push(make()) - 1));
    return found;
  };
  const pointers = kernel.buffers.map((id): PointerSpec => {
    if (counters.has(id)) return { kind: "param", word: word(id, () => ({ kind: "round", counter: id })) };
    const memory = root(id);
    let binding = byRoot.get(memory);
    if (binding === undefined) {
      const access = isFixed(memory) ? "read" : "read_write";
      binding = drafts.push({ range: { kind: "buffer", buffer: memory }, access, stored: new Set() }) - 1;
      byRoot.set(memory, binding);
    }
    drafts[binding]!.stored.add(storedScalar(decls[id]!.dtype));
    if (decls[id]!.slice === undefined) return { kind: "binding", binding, startAligned: true };
    const start = word(id, () => ({ kind: "start", buffer: id }));
    return { kind: "binding", binding, start, startAligned: isAligned(id) };
  });
  kernel.scratch.forEach(({ pointer, bytes }, i) => {
    const range: DeviceRange = { kind: "scratch", offset: plan.scratch[index]![i]!, bytes };
    const stored = new Set([storedScalar(pointer.element)]);
    const binding = drafts.push({ range, access: "read_write", stored }) - 1;
    pointers.push({ kind: "binding", binding, startAligned: true });
  });

  const most = features.limits.maxStorageBuffersPerShaderStage;
  const count = drafts.length + (gated ? 1 : 0);
  if (count > most)
    throw new KernelError(`it binds ${count} buffers, and the device's maxStorageBuffersPerShaderStage is ${most}`);
  return {
    bindings: drafts.map(({ access, stored }) => ({ access, stored: stored.size === 1 ? [...stored][0]! : "u32" })),
    pointers,
    params,
    ranges: drafts.map((d) => d.range),
    syms,
  };
}
