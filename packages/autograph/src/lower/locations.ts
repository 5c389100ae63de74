/** The table of source positions that emitted calls refer to by number. */
import type { SourceFile } from "../syntax.ts";

export class Locations {
  private readonly source: SourceFile;
  private readonly index = new Map<number, number>();
  private readonly positions: [number, number][] = [];

  constructor(source: SourceFile) {
    this.source = source;
  }

  /** The expression that stands for the location of a text position. */
  at(position: number): string {
    let k = this.index.get(position);
    if (k === undefined) {
      const { line, character } = this.source.getLineAndCharacterOfPosition(position);
      k = this.positions.push([line + 1, character + 1]) - 1;
      this.index.set(position, k);
    }
    return `$l[${k}]`;
  }

  /** `[[line, column], ...]`, both from 1. */
  table(): string {
    return JSON.stringify(this.positions);
  }
}
