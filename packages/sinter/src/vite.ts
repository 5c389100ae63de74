/** The source transform as a plugin of Vite and Vitest. Needs ts-morph and unplugin. */
import { type PluginOptions, plugin } from "@sinter/autograph/plugin";
import type { Plugin } from "vite";

export type { PluginOptions };

/** Lets ordinary control flow on tensors be traced: `plugins: [sinter()]`. */
const sinter: (options?: PluginOptions) => Plugin = plugin("vite");

export default sinter;
