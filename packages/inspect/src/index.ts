/** What the compiler did with one function: dumps as numbered files, and one offline page. */
export type { Sources } from "./page/excerpt.ts";
export { type PageOptions, page } from "./page/page.ts";
export type { PeakRates } from "./page/parts.ts";
