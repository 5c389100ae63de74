/**
 * The buffers of a program while it is being planned, its regions included. A buffer made here may turn out to be the
 * same memory as another (a loop's carry and the value that it becomes); `finish` gives those that are left their numbers.
 */
import type { BufferDecl, BufferId, BufferKind, Dim, DType, TypedArray } from "@sinter/ir";

/** A buffer that has no final number yet. */
export type Handle = number;

export interface BufferExtra {
  readonly replaces?: Handle;
  readonly data?: TypedArray;
  readonly slice?: { readonly of: Handle; readonly counter: Handle; readonly reverse: boolean };
}

interface Entry extends BufferExtra {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  readonly kind: BufferKind;
  /** Position among those of its kind. */
  readonly slot: number;
}

export class Buffers {
  private readonly entries: Entry[] = [];
  private readonly same = new Map<Handle, Handle>();
  private readonly counts = new Map<BufferKind, number>();

  add(name: string, dtype: DType, shape: readonly Dim[], kind: BufferKind, extra: BufferExtra = {}): Handle {
    const slot = this.counts.get(kind) ?? 0;
    this.counts.set(kind, slot + 1);
    return this.entries.push({ name, dtype, shape, kind, slot, ...extra }) - 1;
  }

  /** `temp` is the memory of `other` from now on. */
  unite(temp: Handle, other: Handle): void {
    const [from, to] = [this.find(temp), this.find(other)];
    if (from !== to) this.same.set(from, to);
  }

  /** The one handle that stands for all that are the same memory. */
  find(handle: Handle): Handle {
    let at = handle;
    for (let up = this.same.get(at); up !== undefined; up = this.same.get(at)) at = up;
    return at;
  }

  nameOf(handle: Handle): string {
    return this.entries[this.find(handle)]!.name;
  }

  /** The declarations in the order in which buffers were made, and their numbers. */
  finish(): { readonly decls: readonly BufferDecl[]; readonly idOf: (handle: Handle) => BufferId } {
    const left = this.entries.flatMap((_, handle) => (this.find(handle) === handle ? [handle] : []));
    const ids = new Map(left.map((handle, id) => [handle, id]));
    const idOf = (handle: Handle): BufferId => ids.get(this.find(handle))!;
    const decls = left.map((handle, id): BufferDecl => {
      const { replaces, slice, ...entry } = this.entries[handle]!;
      return {
        id,
        ...entry,
        ...(replaces === undefined ? {} : { replaces: idOf(replaces) }),
        ...(slice === undefined ? {} : { slice: { ...slice, of: idOf(slice.of), counter: idOf(slice.counter) } }),
      };
    });
    return { decls, idOf };
  }
}
