/** The source transform as a plugin of Rolldown. Needs ts-morph and unplugin. */
import { type PluginOptions, plugin } from "@sinter/autograph/plugin";
import type { Plugin } from "rolldown";

export type { PluginOptions };

/** Lets ordinary control flow on tensors be traced: `plugins: [sinter()]`. */
const sinter: (options?: PluginOptions) => Plugin = plugin("rolldown");

export default sinter;
