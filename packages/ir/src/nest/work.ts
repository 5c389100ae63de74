/** What a kernel of nests does, counted from its expressions: arithmetic, and the bytes it has to move. */
import { bytesOf, type DType } from "../dtype.ts";
import { indexAxes } from "./classify.ts";
import type { BufferId, Dim, IndexExpr, ScalarExpr } from "./expr.ts";
import { typicalDim } from "./index-algebra.ts";
import type { BufferDecl, Kernel, Nest, NestKernel } from "./nest.ts";
import { indexData, scalarCost, visitScalar } from "./scalar-expr.ts";

/** Bytes count once for each buffer, however often a kernel comes back to them: what a large enough cache would leave. */
export interface KernelWork {
  /**
   * One for each addition or multiplication; other functions by the work that they are in the table of scalar ops. A loop
   * inside an expression, whose rounds only data knows, counts 16 of them.
   */
  readonly flops: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** Bytes that an element takes; as in linear memory where nothing is said. */
export type ElementBytes = (dtype: DType) => number;

/** Symbolic sizes count as `typicalDim`. */
export function workOfKernel(
  kernel: Kernel,
  buffers: readonly BufferDecl[],
  bytesPerElement: ElementBytes = bytesOf,
): KernelWork {
  if (kernel.kind === "library") {
    const bytes = (written: boolean): number =>
      [...new Set(kernel.args)].reduce(
        (n, id) => (kernel.writes.includes(id) === written ? n + bytesOfBuffer(buffers[id]!, bytesPerElement) : n),
        0,
      );
    return { flops: kernel.loops.flops, bytesRead: bytes(false), bytesWritten: bytes(true) };
  }
  const traffic = new Traffic(kernel, buffers, bytesPerElement);
  return {
    flops: flopsOf(kernel),
    bytesRead: traffic.total(traffic.read),
    bytesWritten: traffic.total(traffic.written),
  };
}

/** The arithmetic of a kernel of nests. */
export function flopsOf({ outer, nests }: NestKernel): number {
  const rows = pointsOf(outer);
  return nests.reduce((n, nest) => n + flopsOfNest(nest), 0) * rows;
}

function flopsOfNest({ axes, accumulators, carries, stores }: Nest): number {
  const all = pointsOf(axes);
  const ends = pointsOf(axes.filter((a) => a.kind === "par"));
  const at = (when: "body" | "end"): number => {
    const list = stores.filter((s) => s.when === when);
    return scalarCost(...list.map((s) => s.value)) + list.filter((s) => s.combine !== undefined).length;
  };
  const inner = scalarCost(...accumulators.flatMap((a) => a.values), ...carries.flatMap((c) => [c.init, c.next]));
  return all * (inner + accumulators.length + at("body")) + ends * at("end");
}

/** The elements that reads and stores of a kernel reach, by buffer. */
class Traffic {
  readonly read = new Map<BufferId, number>();
  readonly written = new Map<BufferId, number>();
  private readonly buffers: readonly BufferDecl[];
  private readonly bytesPerElement: ElementBytes;
  private readonly extents = new Map<number, number>();

  constructor({ outer, nests }: NestKernel, buffers: readonly BufferDecl[], bytesPerElement: ElementBytes) {
    this.buffers = buffers;
    this.bytesPerElement = bytesPerElement;
    for (const axis of [...outer, ...nests.flatMap((n) => n.axes)]) this.extents.set(axis.id, typicalDim(axis.extent));
    for (const nest of nests) this.nest(nest);
  }

  /** Bytes, at most those that each buffer has. */
  total(elements: ReadonlyMap<BufferId, number>): number {
    let bytes = 0;
    for (const [id, count] of elements) {
      const buffer = this.buffers[id]!;
      if (buffer.kind === "row") continue;
      bytes += Math.min(bytesOfBuffer(buffer, this.bytesPerElement), count * this.bytesPerElement(buffer.dtype));
    }
    return bytes;
  }

  private nest({ accumulators, carries, stores }: Nest): void {
    const seen = new Set<ScalarExpr>();
    const places = new Set<string>();
    const visit = (root: ScalarExpr): void =>
      visitScalar(
        root,
        (node) => {
          if (node.kind !== "read") return;
          const place = `${node.buffer}[${node.index.map((ix) => ix.key).join()}]`;
          if (!places.has(place)) this.add(this.read, node.buffer, node.index);
          places.add(place);
        },
        seen,
      );
    for (const root of [...accumulators.flatMap((a) => a.values), ...carries.flatMap((c) => [c.init, c.next])])
      visit(root);
    for (const { value, buffer, index, guard, combine } of stores) {
      for (const root of [value, ...indexData(index, guard ?? [])]) visit(root);
      this.add(this.written, buffer, index);
      if (combine !== undefined) this.add(this.read, buffer, index);
    }
  }

  private add(to: Map<BufferId, number>, buffer: BufferId, index: readonly IndexExpr[]): void {
    const axes = new Set<number>();
    for (const ix of index) indexAxes(ix, axes);
    const points = [...axes].reduce((n, id) => n * (this.extents.get(id) ?? 1), 1);
    to.set(buffer, (to.get(buffer) ?? 0) + points);
  }
}

function pointsOf(axes: readonly { readonly extent: Dim }[]): number {
  return axes.reduce((n, a) => n * typicalDim(a.extent), 1);
}

/** Symbolic sizes count as `typicalDim`. */
export function bytesOfBuffer({ dtype, shape }: BufferDecl, bytesPerElement: ElementBytes = bytesOf): number {
  return shape.reduce<number>((n, d) => n * typicalDim(d), bytesPerElement(dtype));
}
