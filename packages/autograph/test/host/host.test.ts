// When the transform is asked for a file and when what was kept is taken, counted with an engine that only counts.
import { describe, expect, test } from "vitest";
import { Host, type HostOptions, type Outcome } from "../../src/host/host.ts";
import type { Engine } from "../../src/host/load.ts";
import type { Diagnostic } from "../../src/index.ts";
import { type Folder, temporaryFolder } from "./folder.ts";

/** An engine that notes which files it transforms, and reports `diagnostics` for each. */
function countingEngine(diagnostics: readonly Diagnostic[] = []): {
  engine: Engine;
  transformed: string[];
  updated: string[];
} {
  const transformed: string[] = [];
  const updated: string[] = [];
  class Autograph {
    transform(code: string, file: string) {
      transformed.push(file.slice(file.lastIndexOf("/") + 1));
      return { code: `/* t */ ${code}`, map: null, changed: true, diagnostics };
    }
    update(code: string) {
      updated.push(code);
    }
    dispose() {}
  }
  const engine = {
    Autograph,
    formatDiagnostic: (diagnostic: Diagnostic) => `${diagnostic.code} shown`,
    transpile: (code: string) => ({
      code: `/* js */ ${code}`,
      map: { version: 3, sources: [], names: [], mappings: "" },
    }),
    projectFiles: () => ({ files: [], rootDir: undefined }),
  };
  return { engine: engine as unknown as Engine, transformed, updated };
}

const files = {
  "node_modules/sinter/package.json": '{ "name": "sinter", "version": "1.0.0" }',
  "tsconfig.json": '{ "compilerOptions": {} }',
  "src/a.ts": 'import { b } from "./b.ts";',
  "src/b.ts": 'import { tensor } from "sinter";',
  "src/plain.ts": "export const x = 1;",
};

function transform(folder: Folder, engine: Engine, name: string, code: string, options: HostOptions = {}): Outcome {
  const pending = new Host({ root: folder.path, ...options }).transform(code, folder.at(name));
  return "done" in pending ? pending.done : pending.run(engine);
}

const diagnostic = (severity: "error" | "warning"): Diagnostic => ({
  code: "AG1005",
  severity,
  message: "m",
  file: "src/a.ts",
  line: 1,
  column: 1,
  endLine: 1,
  endColumn: 2,
});

describe("Host.transform", () => {
  test("asks once for a file that does not change, and gives the same again", () => {
    const folder = temporaryFolder(files);
    const { engine, transformed } = countingEngine();
    const first = transform(folder, engine, "src/a.ts", files["src/a.ts"]);
    expect(first).toMatchObject({ changed: true, code: `/* t */ ${files["src/a.ts"]}` });
    expect(first.dependencies).toEqual([folder.at("src/b.ts")]);
    expect(transform(folder, engine, "src/a.ts", files["src/a.ts"])).toEqual(first);
    expect(transformed).toEqual(["a.ts"]);
  });

  test("asks again when the text, an import, the tsconfig.json, the options or Sinter have changed", () => {
    const folder = temporaryFolder(files);
    const { engine, transformed } = countingEngine();
    const again = (code = files["src/a.ts"], options: HostOptions = {}): number => {
      transform(folder, engine, "src/a.ts", code, options);
      return transformed.length;
    };
    expect(again()).toBe(1);
    expect(again(`${files["src/a.ts"]} `)).toBe(2);
    folder.write("src/b.ts", 'import { tensor } from "sinter"; export type B = 1;');
    expect(again()).toBe(3);
    folder.write("tsconfig.json", '{ "compilerOptions": { "strict": true } }');
    expect(again()).toBe(4);
    expect(again(undefined, { mode: "syntax" })).toBe(5);
    expect(again(undefined, { checks: false })).toBe(6);
    folder.write("node_modules/sinter/package.json", '{ "name": "sinter", "version": "1.0.1" }');
    expect(again()).toBe(7);
    expect(again()).toBe(7);
  });

  test("does not ask for a file that Sinter does not reach", () => {
    const folder = temporaryFolder(files);
    const { engine, transformed } = countingEngine();
    expect(transform(folder, engine, "src/plain.ts", files["src/plain.ts"]).changed).toBe(false);
    expect(transformed).toEqual([]);
  });

  test("keeps warnings with their frames, and finds errors again each time", () => {
    const folder = temporaryFolder(files);
    const warned = countingEngine([diagnostic("warning")]);
    const first = transform(folder, warned.engine, "src/a.ts", files["src/a.ts"]);
    expect(first.reports).toEqual([
      { severity: "warning", message: "AG1005: m", line: 1, column: 1, text: "AG1005 shown" },
    ]);
    expect(transform(folder, warned.engine, "src/a.ts", files["src/a.ts"]).reports).toEqual(first.reports);
    expect(warned.transformed).toEqual(["a.ts"]);
    const failed = countingEngine([diagnostic("error")]);
    for (let i = 0; i < 2; i++) transform(folder, failed.engine, "src/b.ts", files["src/b.ts"]);
    expect(failed.transformed).toEqual(["b.ts", "b.ts"]);
  });

  test("keeps nothing with cache: false, or without a node_modules", () => {
    const folder = temporaryFolder(files);
    const { engine, transformed } = countingEngine();
    for (let i = 0; i < 2; i++) transform(folder, engine, "src/a.ts", files["src/a.ts"], { cache: false });
    expect(transformed).toEqual(["a.ts", "a.ts"]);
  });

  test("sees a change while it runs once it is told of it", () => {
    const folder = temporaryFolder(files);
    const { engine, transformed, updated } = countingEngine();
    const host = new Host({ root: folder.path });
    const ask = (): number => {
      const pending = host.transform(files["src/a.ts"], folder.at("src/a.ts"));
      if ("run" in pending) pending.run(engine);
      return transformed.length;
    };
    expect([ask(), ask()]).toEqual([1, 1]);
    const text = 'import { tensor } from "sinter"; export type B = 2;';
    folder.write("src/b.ts", text);
    host.changed(folder.at("src/b.ts"));
    expect(updated).toEqual([text]);
    expect(ask()).toBe(2);
  });
});

describe("Host.accepts", () => {
  test("takes TypeScript and JavaScript of the project, as include and exclude narrow it", () => {
    const folder = temporaryFolder(files);
    const accepted = (options: HostOptions): string[] => {
      const host = new Host({ root: folder.path, ...options });
      const names = [
        "src/a.ts",
        "src/b.tsx",
        "src/c.js",
        "src/d.d.ts",
        "src/e.css",
        "test/f.mts",
        "node_modules/p/g.ts",
      ];
      return names.filter((name) => host.accepts(folder.at(name)));
    };
    expect(accepted({})).toEqual(["src/a.ts", "src/b.tsx", "src/c.js", "test/f.mts"]);
    expect(accepted({ include: ["src"] })).toEqual(["src/a.ts", "src/b.tsx", "src/c.js"]);
    expect(accepted({ include: ["src/"], exclude: [/\.tsx$/, "src/c.js"] })).toEqual(["src/a.ts"]);
  });
});

describe("Host.program", () => {
  test("strips the types of every TypeScript file, and transforms only those that are accepted", () => {
    const folder = temporaryFolder(files);
    const { engine, transformed } = countingEngine();
    const host = new Host({ root: folder.path, exclude: ["src/b.ts"] });
    const program = (name: "src/a.ts" | "src/b.ts" | "src/plain.ts"): string => {
      const pending = host.program(files[name], folder.at(name));
      return "done" in pending ? pending.done.code : pending.run(engine).code;
    };
    expect(program("src/a.ts")).toContain("/* js */ /* t */ import");
    expect(program("src/b.ts")).toContain("/* js */ import");
    expect(program("src/plain.ts")).toContain("/* js */ export");
    expect(transformed).toEqual(["a.ts"]);
  });

  test("leaves JavaScript that Sinter does not reach as it is", () => {
    const folder = temporaryFolder(files);
    const pending = new Host({ root: folder.path }).program("export default 1;", folder.at("src/x.js"));
    expect(pending).toEqual({ done: { code: "export default 1;", reports: [] } });
  });
});
