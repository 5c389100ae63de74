/** Runs an example: the compiled function beside plain JavaScript, first for the values, then for the time. */
import { scope, type Tensor } from "sinter";

export interface Example<Compiled, Plain> {
  readonly title: string;
  make(small: boolean): Contest<Compiled, Plain>;
}

interface Contest<Compiled, Plain> {
  compiled(): Compiled;
  values(result: Compiled): ArrayLike<number>;
  plain(): Plain;
  /** What the compiled function should have given. */
  plainValues(result: Plain): ArrayLike<number>;
  /** Largest difference between values that is accepted. */
  readonly tolerance: number;
  picture?(values: ArrayLike<number>): string;
}

/** Types a contest: what the compiled and the plain function return follows from them. */
export function contest<Compiled, Plain>(one: Contest<Compiled, Plain>): Contest<Compiled, Plain> {
  return one;
}

/** Prints the comparison, or with `--small` (as the tests run it) only compares the values at a small size. */
export function example<Compiled, Plain>(one: Example<Compiled, Plain>): { show(): void } {
  return { show: () => show(one, process.argv.includes("--small")) };
}

function show<Compiled, Plain>({ title, make }: Example<Compiled, Plain>, small: boolean): void {
  const contest = make(small);
  const values = scope(() => Float64Array.from(contest.values(contest.compiled())));
  const difference = largestDifference(values, contest.plainValues(contest.plain()));
  if (!(difference <= contest.tolerance)) throw new Error(`${title}: differs from plain JavaScript by ${difference}`);
  if (small) {
    console.log(`${title}: right (small)`);
    return;
  }
  const [compiled, plain] = medians(
    () => void scope(() => void contest.compiled()),
    () => void contest.plain(),
  );
  console.log(`\n${title}`);
  if (contest.picture !== undefined) console.log(contest.picture(values));
  console.log(`  compiled          ${milliseconds(compiled)}`);
  console.log(`  plain JavaScript  ${milliseconds(plain)}   ${(plain / compiled).toFixed(2)} times as long`);
  console.log(`  largest difference between values ${difference.toExponential(1)}`);
}

/** The values of scalars; numbers that a staged loop has made tensors come as either. */
export function scalars(...values: readonly (Tensor | number)[]): number[] {
  return values.map((value) => (typeof value === "number" ? value : Number(value.item())));
}

function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  let largest = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

/** Median times of two jobs, taken in turns so that a slow phase of the machine hits both. */
function medians(a: () => void, b: () => void): [number, number] {
  const times: [number[], number[]] = [[], []];
  const start = performance.now();
  for (let round = 0; round < 200 && (round < 7 || performance.now() - start < 1500); round++) {
    for (const [i, run] of [a, b].entries()) {
      const from = performance.now();
      run();
      times[i]!.push(performance.now() - from);
    }
  }
  const median = (list: number[]): number => list.sort((x, y) => x - y)[list.length >> 1]!;
  return [median(times[0]), median(times[1])];
}

function milliseconds(time: number): string {
  return `${time.toFixed(time < 10 ? 3 : 1).padStart(9)} ms`;
}
