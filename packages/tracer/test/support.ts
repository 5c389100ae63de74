// Helpers of the tracer's tests: both backends, comparison of nested arrays, captured warnings.
import { beforeAll, describe, expect, vi } from "vitest";
import { setBackend } from "../src/index.ts";

export const full = process.env["SINTER_FULL"] === "1";

/** Declares the same tests for the reference evaluator and for compiled programs. */
export function onBackends(name: string, tests: (backend: "reference" | "wasm") => void): void {
  for (const backend of ["reference", "wasm"] as const)
    describe(`${name} (${backend})`, () => {
      beforeAll(() => {
        setBackend(backend);
      });
      tests(backend);
    });
}

/** Same nesting; numbers agree to a relative 1e-5. */
export function expectClose(actual: unknown, expected: unknown, tolerance = 1e-5): void {
  if (Array.isArray(expected)) {
    expect(Array.isArray(actual) ? actual.length : actual).toBe(expected.length);
    expected.forEach((item, i) => {
      expectClose((actual as unknown[])[i], item, tolerance);
    });
  } else if (typeof expected === "number" && Number.isFinite(expected)) {
    expect(typeof actual).toBe("number");
    expect(Math.abs((actual as number) - expected), `${String(actual)} against ${expected}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(expected)),
    );
  } else expect(actual).toEqual(expected);
}

/** Runs with console.warn captured. */
export function warnings(body: () => void): string[] {
  const spy = vi.spyOn(console, "warn").mockImplementation(() => {});
  try {
    body();
    return spy.mock.calls.map((call) => String(call[0]));
  } finally {
    spy.mockRestore();
  }
}
