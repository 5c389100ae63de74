/** What profiling found: numbers, a table for terminals, and a trace for browsers' tools. */
import type { Loc } from "@sinter/ir";
import { type Bound, type Peaks, placesText, type StepEvent } from "@sinter/runtime";
import { locText } from "../errors.ts";
import { durationText, numberText, percentText, table } from "./text.ts";

/** One kernel, copy, or call outside of a program: all that it did in one call of the function. */
export interface KernelProfile {
  readonly kind: "kernel" | "copy" | "call";
  readonly name: string;
  /** How the loops of a kernel were arranged. */
  readonly schedule: string;
  /** How often it ran: the median over the calls of the function. */
  readonly calls: number;
  /** The median over the calls of the function, the clock's own time subtracted. */
  readonly milliseconds: number;
  /** Of the time of a call. */
  readonly share: number;
  /** What it did, all runs together. */
  readonly flops: number;
  readonly bytes: number;
  /** Rates that were reached, in 1e9 per second; 0 where no time was measured. */
  readonly gflops: number;
  readonly gbs: number;
  /** What bounds it by the roofline model, and the least time at the peaks divided by the time it took. */
  readonly bound: Bound["by"];
  readonly ofPeak: number;
  /** Where what it computes was written. */
  readonly locs: readonly Loc[];
}

/** A trace in the format that chrome://tracing and Perfetto load; times in microseconds. */
export interface ChromeTrace {
  readonly traceEvents: readonly ChromeEvent[];
  readonly displayTimeUnit: "ms";
  readonly otherData: Readonly<Record<string, string | number>>;
}
export interface ChromeEvent {
  readonly name: string;
  readonly cat: string;
  /** `X`: something with a duration. `M`: a name. */
  readonly ph: "X" | "M";
  readonly ts: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, string | number>>;
}

/** What was measured. */
export interface Measured {
  readonly name: string;
  readonly repeats: number;
  readonly kernels: readonly KernelProfile[];
  readonly milliseconds: number;
  readonly clockNanoseconds: number;
  readonly peaks: Peaks;
  /** Of the last call. `step` is a position in `kernels`. */
  readonly events: readonly StepEvent[];
  readonly eventCount: number;
  readonly lastMilliseconds: number;
  /** The GPU that measured, where one did. */
  readonly device?: string;
}

const mostRows = 40;
const widestPlace = 48;

export class Profile {
  /** Of the function. */
  readonly name: string;
  /** How many calls were measured. */
  readonly repeats: number;
  /** In the order of the program. */
  readonly kernels: readonly KernelProfile[];
  /** One call of the program: the medians of its parts together, the clock's own time subtracted. */
  readonly milliseconds: number;
  /** The part of it that no kernel took. */
  readonly outsideMilliseconds: number;
  /** What the clock takes for one step; subtracted everywhere. */
  readonly clockNanoseconds: number;
  readonly peaks: Peaks;
  private readonly measured: Measured;

  /** Not for direct use: `profile(f, ...)` makes these. */
  constructor(measured: Measured) {
    const { name, repeats, kernels, milliseconds, clockNanoseconds, peaks } = measured;
    this.name = name;
    this.repeats = repeats;
    this.kernels = kernels;
    this.milliseconds = milliseconds;
    this.outsideMilliseconds = Math.max(0, milliseconds - sum(kernels, (k) => k.milliseconds));
    this.clockNanoseconds = clockNanoseconds;
    this.peaks = peaks;
    this.measured = measured;
  }

  /** A table: what took longest first. `of peak`: the least time that the roofline model allows, divided by the time. */
  toString(): string {
    const { kernels, milliseconds, outsideMilliseconds, peaks } = this;
    if (kernels.length === 0) return `${this.name}: no kernels, all that it returns was there before\n`;
    const sorted = [...kernels].sort((a, b) => b.milliseconds - a.milliseconds);
    const row = (k: KernelProfile): string[] => [
      k.name,
      k.kind === "kernel" ? k.schedule : "",
      String(k.calls),
      durationText(k.milliseconds),
      percentText(k.share),
      k.gflops === 0 ? "" : numberText(k.gflops),
      k.gbs === 0 ? "" : numberText(k.gbs),
      k.ofPeak === 0 ? "" : `${percentText(k.ofPeak).padStart(6)} ${k.bound}`,
      shortened(placesText(k.locs.map(inFile))),
    ];
    const rest = sorted.slice(mostRows);
    const time = (list: readonly KernelProfile[]): number => sum(list, (k) => k.milliseconds);
    const share = (ms: number): string => percentText(milliseconds === 0 ? 0 : ms / milliseconds);
    const rate = (amount: number): string => numberText(milliseconds === 0 ? 0 : amount / milliseconds / 1e6);
    const left = [
      `${rest.length} more`,
      "",
      String(sum(rest, (k) => k.calls)),
      durationText(time(rest)),
      share(time(rest)),
    ];
    const rows = [
      ...sorted.slice(0, mostRows).map(row),
      ...(rest.length === 0 ? [] : [left]),
      ["outside of kernels", "", "", durationText(outsideMilliseconds), share(outsideMilliseconds)],
      [
        "total",
        "",
        String(sum(kernels, (k) => k.calls)),
        durationText(milliseconds),
        percentText(1),
        rate(sum(kernels, (k) => k.flops)),
        rate(sum(kernels, (k) => k.bytes)),
        percentText(milliseconds === 0 ? 0 : sum(kernels, (k) => k.ofPeak * k.milliseconds) / milliseconds).padStart(6),
      ],
    ];
    const { device } = this.measured;
    const calls = `medians of ${this.repeats} ${this.repeats === 1 ? "call" : "calls"}`;
    return [
      `${this.name}: ${durationText(milliseconds).trim()} (${calls})`,
      "",
      table(
        ["kernel", "schedule", "runs", "time", "share", "GFLOP/s", "GB/s", "of peak", "where"],
        rows,
        [2, 3, 4, 5, 6],
        2,
      ),
      "",
      `Peaks of ${device ?? "one core"}: ${numberText(peaks.gflops)} GFLOP/s on f32, ${numberText(peaks.gbs)} GB/s from memory; data in caches can be faster.`,
      device === undefined
        ? `The clock takes ${numberText(this.clockNanoseconds)} ns for each run of a kernel, which is subtracted.`
        : "Times are those of the device, with a pass for each dispatch; runs of a while count those that nobody needed.",
      "",
    ].join("\n");
  }

  /**
   * One call as a trace: write `JSON.stringify(profile.chromeTrace())` to a file and load it in chrome://tracing or
   * ui.perfetto.dev. Times are as measured, the clock's own included. Of long programs only the first steps are in it;
   * `otherData` says how many are not.
   */
  chromeTrace(): ChromeTrace {
    const { events, eventCount, lastMilliseconds, name, kernels, peaks } = this.measured;
    const place = { cat: "sinter", pid: 1, tid: 1 } as const;
    const steps = events.map(({ step, start, duration }): ChromeEvent => {
      const { kind, calls, flops, bytes, locs, schedule, name: title } = kernels[step]!;
      const once = (amount: number): number => (calls === 0 ? 0 : amount / calls);
      const line = locs[0] === undefined ? {} : { line: locText(locs[0])!, lines: placesText(locs) };
      const args = { kind, schedule, flops: once(flops), bytes: once(bytes), ...line };
      return { ...place, name: title, ph: "X", ts: 1e3 * start, dur: 1e3 * duration, args };
    });
    return {
      traceEvents: [
        { ...place, name: "process_name", ph: "M", ts: 0, args: { name: "sinter" } },
        { ...place, name: "thread_name", ph: "M", ts: 0, args: { name: "program" } },
        { ...place, name, ph: "X", ts: 0, dur: 1e3 * lastMilliseconds, args: { steps: eventCount } },
        ...steps,
      ],
      displayTimeUnit: "ms",
      otherData: {
        function: name,
        stepsLeftOut: eventCount - events.length,
        clockNanoseconds: this.clockNanoseconds,
        peakGflops: peaks.gflops,
        peakGbs: peaks.gbs,
      },
    };
  }
}

function sum<T>(list: readonly T[], of: (each: T) => number): number {
  return list.reduce((n, each) => n + of(each), 0);
}

/** Without the folders. */
function inFile(loc: Loc): Loc {
  return { ...loc, file: loc.file.replace(/^.*[\\/]/, "") };
}

function shortened(text: string): string {
  return text.length <= widestPlace ? text : `${text.slice(0, widestPlace - 3)}...`;
}
