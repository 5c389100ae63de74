/**
 * The order of what is done on a device. What need not wait is done at once, within the call; what waits (for pipelines,
 * or for values read in the middle of a program) holds up all that was asked for after it.
 */

export class Turns {
  private waiting = 0;
  private last: Promise<unknown> = Promise.resolve();

  /** Whether nothing waits. */
  get idle(): boolean {
    return this.waiting === 0;
  }

  /**
   * `turn` in its turn, after `before` where that is given. Others wait for what it returns. Rejects with what either
   * rejects with or throws.
   */
  take(before: Promise<unknown> | undefined, turn: () => Promise<void> | undefined): Promise<void> {
    if (this.waiting > 0 || before !== undefined) {
      const previous = this.last;
      // Errors of this one are met in its own turn.
      before?.catch(() => {});
      return this.hold(previous.then(() => before).then(turn));
    }
    try {
      const held = turn();
      return held === undefined ? Promise.resolve() : this.hold(held);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** After all that was asked for before: at once where nothing waits. */
  after(done: () => void): void {
    if (this.waiting === 0) done();
    else this.last.then(done);
  }

  private hold(turn: Promise<void>): Promise<void> {
    this.waiting++;
    const ended = turn.finally(() => {
      this.waiting--;
    });
    this.last = ended.catch(() => {});
    return ended;
  }
}
