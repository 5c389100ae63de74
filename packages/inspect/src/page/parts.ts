/** What several sections of the page are made with. */
import { type Inspection, type KernelPicture, type Peaks, roofline, type StepPicture } from "@sinter/runtime";
import { operationsIn } from "../graph/model.ts";
import type { Excerpts } from "./excerpt.ts";
import { type Html, html, type Part } from "./html.ts";

/** What a section is made from. */
export interface Context {
  readonly inspection: Inspection;
  readonly excerpts: Excerpts;
  /** The machine that costs are drawn for. */
  readonly machine: Peaks;
  /** Keeps a text for the page, which shows it when somebody looks; returns what to write where it goes. */
  readonly later: (key: string, text: string) => Html;
}

export interface Section {
  readonly id: string;
  readonly title: string;
  /** What one sees here, in a sentence. */
  readonly lead: Part;
  readonly body: Html;
}

/** Whether the program is one of dispatches on a GPU. */
export function onDevice({ backend }: Pick<Inspection, "backend">): boolean {
  return backend === "webgpu";
}

/** What its code is written in. */
export function languageOf(inspection: Pick<Inspection, "backend">): string {
  return onDevice(inspection) ? "WGSL" : "WebAssembly";
}

/** A number in its kernel's colour, which leads to the kernel. */
export function chip(kernel: number, title = ""): Html {
  return html`<a class="chip k${kernel % 12}" href="#kernel-${kernel}" title="${title === "" ? `kernel ${kernel}` : title}">${kernel}</a>`;
}

export function chipOf(kernel: KernelPicture): Html {
  return chip(kernel.index, `kernel ${kernel.index}: ${operationsIn(kernel)}`);
}

/** A value or node as a link to its place in the drawing. */
export function nodeLink(path: string, text: string): Html {
  return html`<a class="node-link" href="#node-${path}" data-select="${path}">${text}</a>`;
}

/** Seconds that all runs of a kernel in one call take at the least; a kernel in a `while` counts once. */
export function leastSecondsOfCall(kernel: KernelPicture, machine: Peaks): number {
  return (roofline(kernel, machine).milliseconds * (kernel.runs ?? 1)) / 1000;
}

/** All steps, outer ones first. */
export function* allSteps(steps: readonly StepPicture[]): Generator<StepPicture> {
  for (const step of steps) {
    yield step;
    if (step.kind === "if") for (const branch of step.branches) yield* allSteps(branch);
    else if (step.kind === "for") yield* allSteps(step.body);
    else if (step.kind === "while") {
      yield* allSteps(step.test);
      yield* allSteps(step.body);
    }
  }
}
