// What a fresh clone relies on: the lock file installs everywhere, the tests run on the pinned Node, and the facade
// resolves from the sources without a build.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
  readonly packages: Readonly<Record<string, LockedPackage>>;
};

test("the lock file holds the binaries of every platform, not only of the one it was written on", () => {
  const missing = Object.entries(lock.packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {})
      .filter((name) => !(`node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages))
      .map((name) => `${path || "the root"} wants ${name}`),
  );
  expect(missing).toEqual([]);
});

test("the lock file names no registry host", () => {
  const hosts = Object.values(lock.packages).filter((entry) => /^https?:/.test(entry.resolved ?? ""));
  expect(hosts).toEqual([]);
});

test("tests run on the pinned Node", () => {
  const system = process.platform === "win32" ? "win" : process.platform;
  const names = [`node-${system}-${process.arch}`, `node-bin-${system}-${process.arch}`];
  const pinned = names.map((name) => lock.packages[`node_modules/${name}`]).find((entry) => entry !== undefined);
  // A platform without such a package runs on whatever Node it has.
  expect(process.version).toBe(pinned === undefined ? process.version : `v${pinned.version}`);
});

test("the pinned Node has relaxed SIMD", () => {
  // (func (result v128) i32.const 0 i32x4.splat, three times, f32x4.relaxed_madd)
  const splat = [0x41, 0x00, 0xfd, 0x11];
  const body = [0x00, ...splat, ...splat, ...splat, 0xfd, 0x85, 0x02, 0x0b];
  const module = [
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b],
    ...[0x03, 0x02, 0x01, 0x00],
    ...[0x0a, body.length + 2, 0x01, body.length, ...body],
  ];
  expect(WebAssembly.validate(new Uint8Array(module))).toBe(true);
});

test("the facade resolves to its sources from a file of the repository", () => {
  const script = 'console.log(import.meta.resolve("sinter")); await import("sinter");';
  const printed = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: join(root, existsSync(join(root, "examples")) ? "examples" : "test"),
    encoding: "utf8",
  });
  expect(printed.trim()).toMatch(/\/packages\/sinter\/src\/index\.ts$/);
});
