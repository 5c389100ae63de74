// Prints the one closing line `N passed, N failed` for the result files that the tests wrote. A test file that could
// not be loaded counts as one failure: it has no failed test of its own to count.
import { existsSync, readFileSync } from "node:fs";

interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

let passed = 0;
let failed = 0;
for (const file of process.argv.slice(2)) {
  if (!existsSync(file)) continue;
  const results = JSON.parse(readFileSync(file, "utf8")) as Results;
  passed += results.numPassedTests;
  failed += results.numFailedTests;
  failed += results.testResults.filter((one) => one.status === "failed" && one.assertionResults.length === 0).length;
}
console.log(`${passed} passed, ${failed} failed`);
