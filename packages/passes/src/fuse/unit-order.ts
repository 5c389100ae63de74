/**
 * An order of units in which makers come before their readers, kept up to date while units merge: whether two may merge
 * is then seen from the units between them alone.
 */
export class UnitOrder {
  /** By position; merged ones leave a gap. */
  private readonly order: (number | undefined)[] = [];
  private readonly positions = new Map<number, number>();
  private readonly after: (unit: number) => Iterable<number>;
  /** Units looked at so far, by all questions and merges. */
  visited = 0;

  /** `units` makers first; `after`: the units that read what a unit makes, itself perhaps among them. */
  constructor(units: Iterable<number>, after: (unit: number) => Iterable<number>) {
    for (const unit of units) this.positions.set(unit, this.order.push(unit) - 1);
    this.after = after;
  }

  private position(unit: number): number {
    return this.positions.get(unit)!;
  }

  /** A unit right behind the earlier of two, on a way from it to the later one that is not the direct one. */
  between(a: number, b: number): number | undefined {
    const [from, to] = this.position(a) < this.position(b) ? [a, b] : [b, a];
    const limit = this.position(to);
    const seen = new Set([from, to]);
    for (const start of this.after(from)) {
      const stack = [start];
      while (stack.length > 0) {
        const at = stack.pop()!;
        if (seen.has(at) || this.position(at) > limit) continue;
        seen.add(at);
        this.visited++;
        for (const next of this.after(at)) {
          if (next === to) return start;
          stack.push(next);
        }
      }
    }
    return undefined;
  }

  /** Makes two units one, called `as` (one of them); nothing lies on a way between them. Called before they merge. */
  merge(a: number, b: number, as: number): void {
    const [from, to] = this.position(a) < this.position(b) ? [a, b] : [b, a];
    const [first, last] = [this.position(from), this.position(to)];
    const behind = new Set([from]);
    const [before, late]: [number[], number[]] = [[], []];
    for (let p = first; p <= last; p++) {
      const unit = this.order[p];
      if (unit === undefined) continue;
      this.visited++;
      if (behind.has(unit)) for (const next of this.after(unit)) if (this.position(next) <= last) behind.add(next);
      if (unit !== from && unit !== to) (behind.has(unit) ? late : before).push(unit);
    }
    this.positions.delete(a);
    this.positions.delete(b);
    const moved = [...before, as, ...late];
    for (let p = first; p <= last; p++) {
      const unit = moved[p - first];
      this.order[p] = unit;
      if (unit !== undefined) this.positions.set(unit, p);
    }
  }
}
