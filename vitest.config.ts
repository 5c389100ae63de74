// Test runner settings. Tests run from the TypeScript sources; nothing has to be built first. What lies in
// test/autograph and examples/control is written in ordinary control flow, and goes through the source transform.
import sinter from "sinter/vite";
import { defineConfig } from "vitest/config";
import { useSwiftShader } from "./test/support/swiftshader.ts";

const full = process.env["SINTER_FULL"] === "1";
const jsonFile = process.env["SINTER_TEST_JSON"];

// The test processes inherit this one's variables.
useSwiftShader();

export default defineConfig({
  plugins: [sinter({ include: ["test/autograph", "examples/control"] })],
  test: {
    include: ["test/**/*.test.ts", "packages/*/test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: full ? 300_000 : 60_000,
    hookTimeout: 60_000,
    globalSetup: ["test/support/report-node.ts"],
    reporters: jsonFile === undefined ? ["default"] : ["default", "json"],
    ...(jsonFile === undefined ? {} : { outputFile: { json: jsonFile } }),
  },
});
