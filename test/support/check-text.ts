// The differential check for graphs written as text.
import { type Graph, type HostTensor, parseGraph } from "@sinter/ir";
import { type ArgumentOptions, randomArguments } from "./arguments.ts";
import { type CheckOptions, checkForms } from "./check-forms.ts";
import { type Form, forms, withCompiled } from "./compiled.ts";
import { fullRun } from "./fuzz.ts";

/** What the runtime compiles to. */
export const scheduledFused: Form = { fuse: true, generic: false };

/** A graph of one result, in few words: its lines make `%out`. */
export function graphText(params: string, lines: readonly string[], name = "g"): string {
  return `graph @${name}(${params}) {\n${lines.map((l) => `  ${l}\n`).join("")}  return %out\n}\n`;
}

/** Whole numbers from -9 to 9: sums of their products come out exactly in whatever order they are taken. */
export const whole: ArgumentOptions = { whole: true, lo: -9, hi: 9 };

/** For graphs of one op, where fusion changes nothing: the full run compares all forms, as differential.test.ts does. */
export const alone: CheckOptions = { forms: fullRun ? forms : [scheduledFused] };

/** Throws an error with the graph's text where a form differs from the reference. */
export function checkText(text: string, args: ArgumentOptions = whole, options: CheckOptions = {}): void {
  const graph = parseGraph(text);
  checkTextOn(text, randomArguments(graph, args), options);
}

export function checkTextOn(text: string, args: readonly HostTensor[], options: CheckOptions = {}): void {
  try {
    checkForms(parseGraph(text), args, options);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${text}`, { cause: error });
  }
}

/** The schedules of a graph's kernels. */
export function schedulesOf(graph: Graph | string): string[] {
  return withCompiled(typeof graph === "string" ? parseGraph(graph) : graph, scheduledFused, ({ loops }) =>
    loops.kernels.map((k) => k.schedule),
  );
}
