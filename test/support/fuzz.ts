// How many random cases a test tries: few by default, so that `npm test` stays quick, many under SINTER_FULL=1.

/** Whether this is the full run (`npm run test:full`). */
export const fullRun: boolean = process.env["SINTER_FULL"] === "1";

/** The number of random cases: `quick` normally, `full` (20 times as many unless given) in the full run. */
export function fuzzRuns(quick: number, full: number = quick * 20): number {
  return fullRun ? full : quick;
}
