/** What the compiler did with one function: dumps as numbered files, and one offline page. */
export { dumpFiles, writeDump } from "./dump.ts";
export { operationsIn } from "./graph/model.ts";
export type { Sources } from "./page/excerpt.ts";
export * as format from "./page/format.ts";
export { type PageOptions, page } from "./page/page.ts";
export { signatureText, sizesText } from "./signature.ts";
export { readSources } from "./sources.ts";
