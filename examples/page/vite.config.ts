// Builds the page into dist/examples/page. Nothing of it is particular to Sinter: vite finds the library as it finds others.
import { join } from "node:path";
import { defineConfig } from "vite";
import { digitsPlugin } from "./digits-file.ts";

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [digitsPlugin()],
  build: {
    outDir: join(import.meta.dirname, "../../dist/examples/page"),
    emptyOutDir: true,
    target: "es2022",
    chunkSizeWarningLimit: 2000,
    // The digits take a moment to read.
    rolldownOptions: { checks: { pluginTimings: false } },
  },
});
