/** The namespace `random`. */
export { Generator } from "./generator.ts";
export * from "./lib/random.ts";
