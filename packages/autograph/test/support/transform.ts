/** One project for the tests of the transform, whose library is a declaration file. */
import { join } from "node:path";
import { Autograph, type AutographOptions, formatDiagnostic } from "@sinter/autograph";

const root = join(import.meta.dirname, "project");
const projects = new Map<string, Autograph>();

/** Plain unless said: no tags and no checks, so that only what is asked about shows. */
export function project(options: AutographOptions = {}): Autograph {
  const key = JSON.stringify(options);
  let found = projects.get(key);
  if (found === undefined) {
    found = new Autograph({ root, tags: false, checks: false, ...options });
    projects.set(key, found);
  }
  return found;
}

const names = ["compile", "grad", "range", "tensor", "where"];

/** `body` as a file that imports from the library what it names. */
export function fileOf(body: string): string {
  const used = names.filter((name) => new RegExp(`\\b${name}\\(`).test(body));
  return `import { ${[...used, "type Tensor", "type Variable"].join(", ")} } from "sinter";\n${body}\n`;
}

/** The transformed text without its first line, or the diagnostics. */
export function transformed(body: string, options?: AutographOptions): string {
  const { code, diagnostics } = project(options).transform(fileOf(body), "src/case.ts");
  if (diagnostics.length > 0) return diagnostics.map((d) => formatDiagnostic(d, fileOf(body))).join("\n");
  return code.split("\n").slice(1).join("\n").trimEnd();
}

/** The diagnostics as `code line:column message`. Lines count from the body's first. */
export function problems(body: string, options?: AutographOptions): string[] {
  const { diagnostics } = project(options).transform(fileOf(body), "src/case.ts");
  return diagnostics.map((d) => `${d.code} ${d.line - 1}:${d.column} ${d.message}`);
}
