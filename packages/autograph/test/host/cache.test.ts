// The cache of transformed sources: what it keeps, what it drops, and what it survives.
import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cacheFolder, cacheKey, OutputCache } from "../../src/host/cache.ts";
import { temporaryFolder } from "./folder.ts";

describe("OutputCache", () => {
  test("gives back what was kept, and nothing for another key", () => {
    const folder = temporaryFolder({});
    new OutputCache(folder.at("cache")).write("a", { code: "x" });
    const cache = new OutputCache(folder.at("cache"));
    expect(cache.read("a")).toEqual({ code: "x" });
    expect(cache.read("b")).toBeUndefined();
  });

  test("takes a file that was cut short for none, and mends it at the next write", () => {
    const folder = temporaryFolder({ "cache/a.json": '{"code": "x' });
    const cache = new OutputCache(folder.at("cache"));
    expect(cache.read("a")).toBeUndefined();
    cache.write("a", 1);
    expect(cache.read("a")).toBe(1);
  });

  test("leaves no drafts behind", () => {
    const folder = temporaryFolder({});
    const cache = new OutputCache(folder.at("cache"));
    for (let i = 0; i < 20; i++) cache.write(`k${i % 7}`, i);
    expect(readdirSync(folder.at("cache")).sort()).toEqual(Array.from({ length: 7 }, (_, i) => `k${i}.json`));
  });

  test("a folder that cannot be made is no failure", () => {
    const folder = temporaryFolder({ file: "in the way" });
    const cache = new OutputCache(folder.at("file/cache"));
    cache.write("a", 1);
    expect(cache.read("a")).toBeUndefined();
  });

  test.each([
    ["entries", { entries: 10, bytes: 1e9 }],
    ["bytes", { entries: 1e9, bytes: 10 * 1002 }],
  ])("holds a bound on %s by dropping what was unused for longest", (_, limits) => {
    const folder = temporaryFolder({});
    const first = new OutputCache(folder.at("cache"), limits);
    for (let i = 0; i < 10; i++) {
      first.write(`k${i}`, "x".repeat(1000));
      const used = new Date(Date.now() - (100 - i) * 60_000);
      utimesSync(join(folder.at("cache"), `k${i}.json`), used, used);
    }
    // Each process looks once at the start, and every 200 writes.
    new OutputCache(folder.at("cache"), limits).write("new", 1);
    expect(readdirSync(folder.at("cache")).sort()).toEqual([5, 6, 7, 8, 9].map((i) => `k${i}.json`).concat("new.json"));
  });

  test("drafts that a crash left go after a day", () => {
    const folder = temporaryFolder({ "cache/a.json.1.tmp": "", "cache/b.json.2.tmp": "" });
    const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000);
    utimesSync(folder.at("cache/a.json.1.tmp"), yesterday, yesterday);
    new OutputCache(folder.at("cache")).write("c", 1);
    expect(readdirSync(folder.at("cache")).sort()).toEqual(["b.json.2.tmp", "c.json"]);
  });
});

describe("cacheFolder", () => {
  test("lies in the nearest node_modules", () => {
    const folder = temporaryFolder({ "node_modules/a/package.json": "{}", "packages/b/src/c.ts": "" });
    expect(cacheFolder(folder.at("packages/b/src"))).toBe(folder.at("node_modules/.cache/sinter-autograph"));
  });

  test("there is none without a node_modules", () => {
    expect(cacheFolder(temporaryFolder({}).path)).toBeUndefined();
  });
});

test("keys are the same for the same parts and differ for others", () => {
  expect(cacheKey(["a", 1])).toBe(cacheKey(["a", 1]));
  expect(cacheKey(["a", 1])).not.toBe(cacheKey(["a", 2]));
  expect(cacheKey(["ab", ""])).not.toBe(cacheKey(["a", "b"]));
});
