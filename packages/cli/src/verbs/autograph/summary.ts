// The last line of a verb that reports diagnostics.

/** For instance "2 errors, 1 warning in 14 files". */
export function summary(found: readonly { readonly severity: "error" | "warning" }[], files: number): string {
  const errors = found.filter((one) => one.severity === "error").length;
  const warnings = found.length - errors;
  const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;
  return `${count(errors, "error")}, ${count(warnings, "warning")} in ${count(files, "file")}`;
}
