/** The source transform as a plugin of esbuild. Needs ts-morph and unplugin. */
import { type PluginOptions, plugin } from "@sinter/autograph/plugin";
import type { Plugin } from "esbuild";

export type { PluginOptions };

/** Lets ordinary control flow on tensors be traced: `plugins: [sinter()]`. */
const sinter: (options?: PluginOptions) => Plugin = plugin("esbuild");

export default sinter;
