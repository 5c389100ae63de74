/** A map bounded by the bytes its entries hold: what was used longest ago goes first. */

export interface CacheEntry<T> {
  readonly value: T;
  readonly bytes: number;
  /** Called when the entry leaves the cache. */
  readonly evict?: (() => void) | undefined;
}

export class ByteCache<T> {
  private readonly entries = new Map<string, CacheEntry<T>>();
  readonly maximumBytes: number;
  bytes = 0;

  constructor(maximumBytes: number) {
    this.maximumBytes = maximumBytes;
  }

  get size(): number {
    return this.entries.size;
  }

  get(key: string): T | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  set(key: string, entry: CacheEntry<T>): void {
    this.delete(key);
    this.entries.set(key, entry);
    this.bytes += entry.bytes;
    for (const oldest of this.entries.keys()) {
      // The newest stays, even where it alone is larger than the bound.
      if (this.bytes <= this.maximumBytes || oldest === key) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.bytes -= entry.bytes;
    entry.evict?.();
  }

  clear(): void {
    for (const key of [...this.entries.keys()]) this.delete(key);
  }

  values(): T[] {
    return [...this.entries.values()].map((entry) => entry.value);
  }
}
