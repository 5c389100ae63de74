// What a file is taken to depend on, and how tsconfig.json is read without the compiler.
import { describe, expect, test } from "vitest";
import { type Dependencies, ImportGraph } from "../../src/host/imports.ts";
import { parseJsonc } from "../../src/host/jsonc.ts";
import { fileOfId, Project } from "../../src/host/project.ts";
import { type Folder, temporaryFolder } from "./folder.ts";

function dependencies(folder: Folder, name: string, code: string): Dependencies {
  const project = new Project();
  const file = folder.at(name);
  return new ImportGraph(project).dependencies(code, file, project.configurationOf(folder.at("src")));
}

function names(folder: Folder, found: Dependencies): string[] {
  return found.files.map((file) => file.slice(folder.path.length + 1));
}

describe("ImportGraph", () => {
  test("follows relative imports of every spelling, through others and around cycles", () => {
    const folder = temporaryFolder({
      "src/a.ts": "",
      "src/b.ts": 'export { x } from "./c.js"; import "./a.ts";',
      "src/c.ts": 'import type { Y } from "./d";\nconst z = await import("./e/index.ts");',
      "src/d.d.ts": "",
      "src/e/index.ts": "import b from '../b.ts'",
      "src/unused.ts": "",
    });
    const found = dependencies(folder, "src/a.ts", 'import {\n  b,\n} from "./b";');
    expect(names(folder, found)).toEqual(["src/b.ts", "src/c.ts", "src/d.d.ts", "src/e/index.ts"]);
    expect(found.reachesSinter).toBe(false);
  });

  test("follows paths of tsconfig.json, imports of package.json, and linked packages", () => {
    const folder = temporaryFolder({
      "package.json": JSON.stringify({ name: "app", imports: { "#util/*": "./src/util/*.ts" } }),
      "base.json": '{ "compilerOptions": { "paths": { "@/*": ["./src/at/*"] } } }',
      "src/tsconfig.json": '{\n  // the paths come from here\n  "extends": "../base.json",\n}',
      "src/util/u.ts": "",
      "src/at/v.ts": "",
    });
    const found = dependencies(folder, "src/a.ts", 'import "#util/u"; import v from "@/v";');
    expect(names(folder, found)).toEqual(["src/at/v.ts", "src/util/u.ts"]);
  });

  test("sees Sinter through other files, by any of its entries", () => {
    const folder = temporaryFolder({
      "node_modules/sinter/package.json": '{ "name": "sinter", "version": "1.0.0" }',
      "src/b.ts": 'import { tensor } from "sinter";',
    });
    expect(dependencies(folder, "src/a.ts", 'import "./b.ts"').reachesSinter).toBe(true);
    expect(dependencies(folder, "src/a.ts", 'import * as $ag from "sinter/ag"').reachesSinter).toBe(true);
    expect(dependencies(folder, "src/a.ts", 'import "sinterest"').reachesSinter).toBe(false);
  });

  test("the hash changes with the text of a file reached and the version of a package, and with nothing else", () => {
    const folder = temporaryFolder({
      "node_modules/p/package.json": '{ "name": "p", "version": "1.0.0" }',
      "src/b.ts": 'import "p"; import "./c.ts";',
      "src/c.ts": "export const x: number = 1;",
      "src/other.ts": "1",
    });
    const hash = (): string => dependencies(folder, "src/a.ts", 'import "./b.ts"').hash;
    const before = hash();
    folder.write("src/other.ts", "2");
    expect(hash()).toBe(before);
    folder.write("src/c.ts", "export const x: string = '';");
    const changed = hash();
    expect(changed).not.toBe(before);
    folder.write("node_modules/p/package.json", '{ "name": "p", "version": "1.0.1" }');
    expect(hash()).not.toBe(changed);
  });

  test("the hash changes when a file that was missing appears", () => {
    const folder = temporaryFolder({ "src/a.ts": "" });
    const hash = (): string => dependencies(folder, "src/a.ts", 'import "./b"').hash;
    const before = hash();
    folder.write("src/b.ts", "");
    expect(hash()).not.toBe(before);
  });
});

describe("Project", () => {
  test("installed packages and Sinter's own are no source of the project", () => {
    const folder = temporaryFolder({
      "package.json": '{ "name": "app" }',
      "packages/ours/package.json": '{ "name": "@sinter/tracer" }',
    });
    const project = new Project();
    expect(project.owns(folder.at("src/a.ts"))).toBe(true);
    expect(project.owns(folder.at("node_modules/p/a.ts"))).toBe(false);
    expect(project.owns(folder.at("packages/ours/a.ts"))).toBe(false);
  });

  test("a tsconfig.json that only lists others stands for the first of them", () => {
    const folder = temporaryFolder({
      "tsconfig.json": '{ "files": [], "references": [{ "path": "./tsconfig.app.json" }] }',
      "tsconfig.app.json": '{ "compilerOptions": { "strict": true } }',
    });
    expect(new Project().configurationOf(folder.at("src"))).toMatchObject({
      file: folder.at("tsconfig.app.json"),
      options: { strict: true },
    });
  });
});

test.each([
  ["/a/b.ts", "/a/b.ts"],
  ["/a/b.ts?v=12ab", "/a/b.ts"],
  ["/a/b.ts?worker_file&type=module", "/a/b.ts"],
  ["/a/b.ts?raw", undefined],
  ["/a/b.vue?vue&type=script&lang.ts", undefined],
  ["\0virtual.ts", undefined],
  ["virtual.ts", undefined],
])("the file of the id %s is %s", (id, file) => {
  expect(fileOfId(id)).toBe(file);
});

test("JSON with comments and trailing commas is read; what is in strings stays", () => {
  const text = '\uFEFF{ /* a */ "a": "//x, }", // b\n "b": [1, 2,], "c": "\\"/*",\n}';
  expect(parseJsonc(text)).toEqual({ a: "//x, }", b: [1, 2], c: '"/*' });
  expect(parseJsonc("{")).toBeUndefined();
});
