/** The transform of one file: a list of steps, each on what the ones before found. */
import { readModel } from "./analysis/bindings.ts";
import { findHazards } from "./analysis/hazards.ts";
import { Plan } from "./analysis/plan.ts";
import { findReserved } from "./analysis/reserved.ts";
import { Diagnostics } from "./diagnostics.ts";
import { Edits } from "./lower/edits.ts";
import { Locations } from "./lower/locations.ts";
import { Lowering, type LoweringOptions } from "./lower/lowering.ts";
import { lowerFile } from "./lower/walk.ts";
import type { TypeOracle } from "./oracle/oracle.ts";
import type { TransformResult } from "./result.ts";
import type { SourceFile, ts } from "./syntax.ts";

export interface FileOptions extends LoweringOptions {
  readonly runtime: string;
  /** The file's name in messages and locations. */
  readonly path: string;
}

export function transformFile(source: SourceFile, oracle: TypeOracle, options: FileOptions): TransformResult {
  const code = source.text;
  const diagnostics = new Diagnostics(source, options.path);
  const result = (changed?: Edits): TransformResult => ({
    code: changed?.toString() ?? code,
    map: changed?.map(options.path) ?? null,
    changed: changed !== undefined,
    diagnostics: diagnostics.all(),
  });

  findSyntaxErrors(source, diagnostics);
  if (diagnostics.hasErrors) return result();
  const model = readModel(source, oracle, options.runtime);
  const plan = new Plan(model, oracle);
  findHazards(plan, oracle, diagnostics);
  if (diagnostics.hasErrors) return result();

  const edits = new Edits(code);
  const locations = new Locations(source);
  lowerFile(new Lowering(plan, oracle, edits, locations, diagnostics, options), options.runtime, options.path);
  if (edits.changed) findReserved(model, diagnostics);
  return diagnostics.hasErrors || !edits.changed ? result() : result(edits);
}

function findSyntaxErrors(source: SourceFile, diagnostics: Diagnostics): void {
  // The parser keeps what it found wrong on the file; no public function gives it without a program.
  const { parseDiagnostics = [] } = source as { readonly parseDiagnostics?: readonly ts.DiagnosticWithLocation[] };
  for (const { start, length, messageText } of parseDiagnostics) {
    const message = typeof messageText === "string" ? messageText : messageText.messageText;
    diagnostics.reportAt("AG1000", start, start + length, message);
  }
}
