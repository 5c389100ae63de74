/** What the command builds on: the transform with its files, its cache and its engine. */
export type { Diagnostic } from "../index.ts";
export { Host, type HostOptions, isError, type Outcome, type Pending, type Report } from "./host.ts";
export { type Engine, loadEngine } from "./load.ts";
export { type Configuration, realPath } from "./project.ts";
