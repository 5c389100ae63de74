/**
 * What `compile` asks of a function's source: that the source transform has seen it, or that nothing in it needs to be
 * transformed; and that the plain values it captured are still those it was traced with.
 */
import type { Loc } from "@sinter/ir";
import { suspiciousBranch } from "./branches.ts";
import { describeValue, SinterError, TraceError } from "./errors.ts";

/** What the source transform tells `compile` of a function. */
export interface TransformedSite {
  /** Where compile is called. */
  readonly loc?: Loc;
  /** The present values of captured variables that are assigned more than once. */
  readonly captures: () => readonly unknown[];
  readonly names: readonly string[];
}

/** Captured values as they were when a function was traced. */
export interface Guard {
  readonly caller: string;
  readonly site: TransformedSite;
  readonly values: readonly unknown[];
  /** Variables that the function itself assigns while it is traced, such as a count of traces. */
  readonly own: Set<number>;
}

export function guardOf(caller: string, site: TransformedSite): Guard {
  return { caller, site, values: site.captures(), own: new Set() };
}

/** To be called after the trace. */
export function settleGuard({ site, values, own }: Guard): void {
  site.captures().forEach((now, i) => {
    if (!Object.is(now, values[i])) own.add(i);
  });
}

/** Throws where a captured variable has another value than in the trace, which the program would not see. */
export function checkGuard({ caller, site, values, own }: Guard): void {
  site.captures().forEach((now, i) => {
    if (Object.is(now, values[i]) || own.has(i)) return;
    const name = site.names[i];
    throw new TraceError(
      `${caller}: the captured variable ${name} was ${describeValue(values[i])} when the function was traced, and is ${describeValue(now)} now, which its program does not see. ` +
        `Pass ${name} as an argument, or make it a variable: const ${name} = variable(${typeof now === "number" ? now : "..."}), ${name}.assign(...).`,
    );
  });
}

/** Functions that cannot be traced are told from others before they are called. */
export function checkTraceable(caller: string, fn: object): void {
  const kind = Object.prototype.toString.call(fn);
  if (kind.includes("Generator"))
    throw new SinterError(
      `${caller}: fn is a generator function: a function that is compiled returns its result at once`,
    );
  if (kind.includes("Async"))
    throw new SinterError(
      `${caller}: fn is an async function: a function that is compiled cannot wait. Await before or after the call.`,
    );
}

/** How a function's source stands to the transform. */
export type SourceKind = "transformed" | "tagged" | "plain";

export function sourceKind(source: string, site: TransformedSite | undefined): SourceKind {
  if (/\$ag\.at\(/.test(source)) return "tagged";
  return site !== undefined || source.includes("$ag.") ? "transformed" : "plain";
}

/** Throws where a function that was not transformed branches on what may be a tensor. */
export function refuseBranches(name: string, source: string, isStatic: (path: string) => boolean): void {
  const condition = suspiciousBranch(source, isStatic);
  if (condition === undefined) return;
  throw new TraceError(
    `${name} branches on ${condition}. If that is a tensor, JavaScript takes it for true, whatever it holds, and the other way is never taken. ` +
      'Let the source transform convert the function: the plugin from "sinter/vite", `node --import sinter/register app.ts`, or `sinter autograph build`. ' +
      "Or write where(condition, a, b), cond(condition, () => a, () => b) or whileLoop(test, body, init). " +
      "If it is never a tensor, compile(fn, { autograph: false }) says so.",
  );
}
