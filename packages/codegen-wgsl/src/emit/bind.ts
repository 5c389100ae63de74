/**
 * What a kernel's pointers are bound to: ranges of memory, one for each place, and words of `Params`. Where they are more
 * ranges than a device binds, all that is in the arena becomes one, and some of what is not is copied there.
 */
import {
  type DeviceRange,
  type Grid,
  isMultiple,
  type LoopKernel,
  type ParamWord,
  sizeOf,
  symsIn,
  typicalDim,
} from "@sinter/ir";
import type { BindingSpec, PointerSpec } from "./module.ts";
import type { Packing } from "./packing.ts";
import { KernelError, storedScalar, type Word } from "./types.ts";

export interface KernelBinding {
  readonly bindings: readonly BindingSpec[];
  readonly pointers: readonly PointerSpec[];
  readonly params: readonly ParamWord[];
  readonly ranges: readonly DeviceRange[];
  /** Words of the symbolic sizes. */
  readonly syms: ReadonlyMap<string, number>;
  /** Buffers that are copied into the arena before, and back behind it where they are written. */
  readonly copies: readonly { readonly buffer: number; readonly shadow: number; readonly back: boolean }[];
}

/** Memory of a kernel: a buffer behind slices and places that are shared, or scratch. */
interface Region {
  readonly range: DeviceRange;
  readonly access: BindingSpec["access"];
  readonly stored: Set<Word>;
  /** Pointers of the kernel that lead into it. */
  readonly pointers: number[];
}

/** How the memory of a kernel (its position is `index`) is bound in a grid. */
export function bindKernel(
  packing: Packing,
  kernel: LoopKernel,
  index: number,
  grid: Grid,
  gated: boolean,
): KernelBinding {
  const decls = packing.program.buffers;
  const params: ParamWord[] = [];
  const known = new Map<string, number>();
  const word = (made: ParamWord): number => {
    const key = JSON.stringify(made);
    let found = known.get(key);
    if (found === undefined) known.set(key, (found = params.push(made) - 1));
    return found;
  };
  const names = new Set([...(kernel.syms ?? []), ...symsIn(grid.groups).keys()]);
  const syms = new Map([...names].map((name) => [name, word({ kind: "sym", name })]));

  const regions = regionsOf(packing, kernel, index);
  const most = packing.features.limits.maxStorageBuffersPerShaderStage - (gated ? 1 : 0);
  const { inArena, shadows } = share(packing, regions, most);

  const bindings: { access: BindingSpec["access"]; stored: Set<Word> }[] = [];
  const ranges: DeviceRange[] = [];
  const pointers: PointerSpec[] = [];
  kernel.buffers.forEach((id, i) => {
    if (packing.counters.has(id)) pointers[i] = { kind: "param", word: word({ kind: "round", counter: id }) };
  });
  const bind = (region: Region, binding: number, first: readonly number[]): void => {
    for (const i of region.pointers) {
      const id = kernel.buffers[i];
      const isSlice = id !== undefined && decls[id]!.slice !== undefined;
      const starts = isSlice ? [...first, word({ kind: "start", buffer: id })] : first;
      pointers[i] = { kind: "binding", binding, starts, startAligned: id === undefined || isAligned(packing, id) };
    }
  };
  for (const region of regions) {
    if (inArena.has(region) || shadows.has(region)) continue;
    const binding = bindings.push({ access: region.access, stored: region.stored }) - 1;
    ranges.push(region.range);
    bind(region, binding, []);
  }
  if (inArena.size + shadows.size > 0) {
    const stored = new Set([...inArena, ...shadows.keys()].flatMap((r) => [...r.stored]));
    const binding = bindings.push({ access: "read_write", stored }) - 1;
    ranges.push(packing.arena);
    for (const region of inArena) {
      const { range } = region;
      const place: ParamWord =
        range.kind === "buffer" ? { kind: "place", buffer: range.buffer } : { kind: "offset", bytes: range.offset };
      bind(region, binding, [word(place)]);
    }
    for (const [region, shadow] of shadows) bind(region, binding, [word({ kind: "place", buffer: shadow })]);
  }
  return {
    bindings: bindings.map(({ access, stored }) => ({ access, stored: stored.size === 1 ? [...stored][0]! : "u32" })),
    pointers,
    params,
    ranges,
    syms,
    copies: [...shadows].flatMap(([{ range, access }, shadow]) =>
      range.kind === "buffer" ? [{ buffer: range.buffer, shadow, back: access === "read_write" }] : [],
    ),
  };
}

function regionsOf(packing: Packing, kernel: LoopKernel, index: number): readonly Region[] {
  const decls = packing.program.buffers;
  const written = new Set(kernel.writes.map((id) => packing.root(id)));
  const isFixed = (id: number): boolean => {
    const { kind } = decls[id]!;
    return (kind === "arg" || kind === "const" || kind === "state") && !written.has(id) && !packing.moving.has(id);
  };
  const byRoot = new Map<number, Region>();
  kernel.buffers.forEach((id, i) => {
    if (packing.counters.has(id)) return;
    const buffer = packing.root(id);
    let region = byRoot.get(buffer);
    if (region === undefined) {
      const access = isFixed(buffer) ? "read" : "read_write";
      region = { range: { kind: "buffer", buffer }, access, stored: new Set(), pointers: [] };
      byRoot.set(buffer, region);
    }
    region.stored.add(storedScalar(decls[id]!.dtype));
    region.pointers.push(i);
  });
  const scratch = kernel.scratch.map(({ pointer, bytes }, i): Region => {
    const range: DeviceRange = { kind: "scratch", offset: packing.plan.scratch[index]![i]!, bytes };
    const stored = new Set([storedScalar(pointer.element)]);
    return { range, access: "read_write", stored, pointers: [kernel.buffers.length + i] };
  });
  return [...byRoot.values(), ...scratch];
}

/** Whether a buffer begins at a multiple of four elements of its memory, whatever rounds of loops are at. */
function isAligned(packing: Packing, id: number): boolean {
  const { slice, shape } = packing.program.buffers[id]!;
  return slice === undefined || (isMultiple(sizeOf(shape), 4) && isAligned(packing, slice.of));
}

/** What is bound as parts of the arena, and what is copied there, by the number of the copy. */
function share(
  packing: Packing,
  regions: readonly Region[],
  most: number,
): { inArena: ReadonlySet<Region>; shadows: ReadonlyMap<Region, number> } {
  const shadows = new Map<Region, number>();
  if (regions.length <= most) return { inArena: new Set(), shadows };
  const inArena = new Set(regions.filter(({ range }) => range.kind === "scratch" || packing.isInArena(range.buffer)));
  const others = regions.filter((r) => !inArena.has(r));
  const size = ({ range, access }: Region): number =>
    range.kind === "buffer"
      ? typicalDim(sizeOf(packing.program.buffers[range.buffer]!.shape)) * (access === "read" ? 1 : 2)
      : 0;
  // One binding is the arena's. What is the least work to copy goes there.
  const candidates = others
    .filter(({ range }) => range.kind === "buffer" && !packing.moving.has(range.buffer))
    .sort((a, b) => size(a) - size(b));
  const excess = Math.max(others.length - (most - 1), 0);
  const stuck = others.some(({ range }) => range.kind === "buffer" && packing.isSometimesInArena(range.buffer));
  if (excess > candidates.length || stuck)
    throw new KernelError(
      `it binds ${regions.length} buffers, and the device's maxStorageBuffersPerShaderStage leaves ${most}`,
    );
  for (const region of candidates.slice(0, excess))
    if (region.range.kind === "buffer") shadows.set(region, packing.shadow(region.range.buffer));
  return { inArena, shadows };
}
