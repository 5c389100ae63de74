/** The source transform as a plugin of Rollup. Needs ts-morph and unplugin. */
import { type PluginOptions, plugin } from "@sinter/autograph/plugin";
import type { Plugin } from "rollup";

export type { PluginOptions };

/** Lets ordinary control flow on tensors be traced: `plugins: [sinter()]`. */
const sinter: (options?: PluginOptions) => Plugin = plugin("rollup");

export default sinter;
