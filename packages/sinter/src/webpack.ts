/** The source transform as a plugin of webpack. Needs ts-morph and unplugin. */
import { type PluginOptions, plugin } from "@sinter/autograph/plugin";
import type { WebpackPluginInstance } from "webpack";

export type { PluginOptions };

/** Lets ordinary control flow on tensors be traced: `plugins: [sinter()]`. */
const sinter: (options?: PluginOptions) => WebpackPluginInstance = plugin("webpack");

export default sinter;
