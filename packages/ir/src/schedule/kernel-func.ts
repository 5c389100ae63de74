/** What functions of one kernel have in common: the buffers it touches, pointers for them, locals for row scalars. */
import type {
  BufferDecl,
  BufferId,
  Dim,
  LoopExpr,
  LoopPointer,
  LoopVar,
  Nest,
  NestKernel,
  ScalarExpr,
} from "../index.ts";
import { loop, sizeOf, visitScalar } from "../index.ts";
import { nestScalars } from "./flat.ts";
import type { KernelMemory } from "./payload.ts";
import { type SymValues, sizeExpr, symsOfKernel } from "./sizes.ts";

/** Buffers of a kernel, in the order its entry takes them, and which of them it writes. */
export interface KernelBuffers {
  readonly buffers: readonly BufferId[];
  readonly writes: readonly BufferId[];
  readonly rows: readonly BufferId[];
  /** Symbolic sizes that its functions take, behind their other parameters. */
  readonly syms: readonly string[];
}

export function kernelBuffers(kernel: NestKernel, decls: readonly BufferDecl[]): KernelBuffers {
  const reads = new Set<BufferId>();
  const writes = new Set<BufferId>();
  for (const nest of kernel.nests) {
    for (const id of readsOf(nest)) reads.add(id);
    for (const store of nest.stores) writes.add(store.buffer);
  }
  const isRow = (id: BufferId): boolean => decls[id]!.kind === "row";
  const all = [...new Set([...reads, ...writes])];
  return {
    buffers: all.filter((b) => !isRow(b)),
    writes: [...writes].filter((b) => !isRow(b)),
    rows: all.filter(isRow),
    syms: symsOfKernel(kernel, all, decls),
  };
}

function readsOf(nest: Nest): Set<BufferId> {
  const reads = new Set<BufferId>();
  const seen = new Set<ScalarExpr>();
  const collect = (root: ScalarExpr): void =>
    visitScalar(root, (node) => node.kind === "read" && void reads.add(node.buffer), seen);
  nestScalars(nest).forEach(collect);
  return reads;
}

/** Per nest, whether it stores into a buffer that was read before, as a carry of a loop is, and is read again later. */
export function overwrites(kernel: NestKernel): boolean[] {
  const reads = kernel.nests.map(readsOf);
  return kernel.nests.map((nest, i) =>
    nest.stores.some(
      ({ buffer }) => reads.slice(0, i + 1).some((r) => r.has(buffer)) && reads.slice(i + 1).some((r) => r.has(buffer)),
    ),
  );
}

/** One function under construction, with the kernel's pointers declared in order. */
export class KernelFunc {
  readonly func: loop.FuncBuilder;
  readonly pointers: LoopPointer[] = [];
  readonly params: readonly LoopExpr[];
  /** Values of the symbolic sizes. */
  readonly syms: SymValues;
  private readonly byBuffer = new Map<BufferId, LoopPointer>();
  private readonly locals = new Map<BufferId, LoopVar>();
  private readonly decls: readonly BufferDecl[];
  private readonly written: ReadonlySet<BufferId>;

  /** `params`: names of integer parameters before those for the symbolic sizes. */
  constructor(name: string, decls: readonly BufferDecl[], used: KernelBuffers, params: readonly string[] = []) {
    this.func = new loop.FuncBuilder(name);
    this.decls = decls;
    this.params = params.map((param) => this.func.param(param));
    this.syms = new Map(used.syms.map((sym) => [sym, this.func.param(sym)]));
    this.written = new Set([...used.writes, ...used.rows]);
    for (const id of used.buffers) this.addPointer(id, "heap");
    for (const id of used.rows) if (!isScalarRow(decls[id]!)) this.addPointer(id, "scratch");
  }

  private addPointer(id: BufferId, space: "heap" | "scratch"): void {
    const decl = this.decls[id]!;
    const pointer = this.func.pointer(decl.name, decl.dtype, space);
    this.byBuffer.set(id, pointer);
    this.pointers.push(pointer);
  }

  /** What it hands on to functions of the kernel that it calls, behind their other parameters. */
  get sizeArgs(): readonly LoopExpr[] {
    return [...this.syms.values()];
  }

  /** A size, computed here. */
  size(dim: Dim): LoopExpr {
    return this.func.let("size", sizeExpr(dim, this.syms));
  }

  /** Declares the locals that hold rank-0 row buffers. */
  openRows(used: KernelBuffers): void {
    for (const id of used.rows) {
      const decl = this.decls[id]!;
      if (isScalarRow(decl)) this.locals.set(id, this.func.local(decl.name, loop.constant(decl.dtype, 0)));
    }
  }

  readonly memory: KernelMemory = {
    pointer: (id) => this.byBuffer.get(id)!,
    local: (id) => this.locals.get(id),
    size: (id) => sizeOf(this.decls[id]!.shape),
    isRow: (id) => this.written.has(id),
  };
}

export function isScalarRow(decl: BufferDecl): boolean {
  return sizeOf(decl.shape) === 1;
}
