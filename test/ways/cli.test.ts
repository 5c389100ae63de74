// The command: what it prints, what it writes and how it exits, for what is right and what is wrong.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { run } from "../../packages/cli/src/index.ts";
import { patience, runIn, type TestProject, testProject } from "../support/built-package.ts";
import { appFiles, expectedOutput, thrownAt, withSwitch } from "./app.ts";

vi.setConfig({ testTimeout: patience, hookTimeout: patience });

const start = process.cwd();
const projects: TestProject[] = [];
afterEach(() => process.chdir(start));
afterAll(() => {
  for (const project of projects) project.remove();
});

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command in a project of the given files. */
async function sinter(
  files: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<Result & { app: TestProject }> {
  const app = testProject(files);
  projects.push(app);
  return { ...(await again(app, ...args)), app };
}

async function again(app: TestProject, ...args: string[]): Promise<Result> {
  process.chdir(app.folder);
  const text = { out: "", err: "" };
  const code = await run(args, {
    out: (part) => {
      text.out += part;
    },
    err: (part) => {
      text.err += part;
    },
  });
  return { code, ...text };
}

describe("sinter autograph check", () => {
  test("prints every diagnostic of the project with its lines, then a summary, and exits with 1", async () => {
    const { code, out } = await sinter(
      { "src/a.ts": withSwitch, "src/b.ts": withSwitch, "src/c.ts": "" },
      "autograph",
      "check",
    );
    expect(code).toBe(1);
    expect(out).toMatch(/src\/a\.ts:3:\d+ error AG1007: /);
    expect(out).toMatch(/src\/b\.ts:3:\d+ error AG1007: /);
    expect(out.split("> 3 |   switch (x) {")).toHaveLength(3);
    expect(out.trimEnd().split("\n").at(-1)).toBe("2 errors, 0 warnings in 3 files");
  });

  test("takes files by name, and exits with 0 where nothing is wrong", async () => {
    const files = { ...appFiles, "src/wrong.ts": withSwitch };
    const { code, out, err } = await sinter(files, "autograph", "check", "src/model.ts", "src/main.ts");
    expect({ code, out, err }).toEqual({ code: 0, out: "0 errors, 0 warnings in 2 files\n", err: "" });
  });

  test("reports every tensor used as a condition with --untransformed", async () => {
    const files = { "src/a.ts": 'import { tensor } from "sinter";\nif (tensor(1).gt(0)) console.log(1);\n' };
    expect((await sinter(files, "autograph", "check")).code).toBe(0);
    const { code, out } = await sinter(files, "autograph", "check", "--untransformed");
    expect(code).toBe(1);
    expect(out).toContain("src/a.ts:2:5 error AG1001: tensor(1).gt(0) is a tensor, used as a condition");
  });

  test("takes a project by its tsconfig.json or its folder", async () => {
    const { app, code } = await sinter({ "src/a.ts": withSwitch }, "autograph", "check", "-p", "tsconfig.json");
    expect(code).toBe(1);
    process.chdir(start);
    expect((await again(app, "autograph", "check", "--project", ".")).code).toBe(1);
  });
});

describe("sinter autograph build", () => {
  test("writes JavaScript with maps that runs as it is written", async () => {
    const { app, code, out } = await sinter(appFiles, "autograph", "build", "--out-dir", "out");
    expect([code, out]).toEqual([0, "4 files built into out\n"]);
    expect(runIn(app, [process.execPath, "out/main.js"])).toEqual({ status: 0, out: expectedOutput, err: "" });
    const thrown = runIn(app, [process.execPath, "--enable-source-maps", "out/throws.js"]).err;
    for (const place of thrownAt) expect(thrown).toContain(place);
    expect(JSON.parse(app.read("out/model.js.map"))).toMatchObject({
      file: "model.js",
      sources: ["../src/model.ts"],
      sourcesContent: [appFiles["src/model.ts"]],
    });
    expect(app.read("out/model.js")).toContain("$ag.while_(");
  });

  test("writes nothing where a file has an error", async () => {
    const files = { ...appFiles, "src/wrong.ts": withSwitch };
    const { app, code, err } = await sinter(files, "autograph", "build", "-o", "out");
    expect(code).toBe(1);
    expect(err).toContain("AG1007");
    expect(err.trimEnd().split("\n").at(-1)).toBe("1 error, 0 warnings in 5 files; nothing was written");
    expect(existsSync(app.path("out"))).toBe(false);
  });

  test("does not overwrite a source", async () => {
    const files = { "src/a.js": 'import "sinter";\n' };
    const { code, err } = await sinter(files, "autograph", "build", "src/a.js", "-o", "src");
    expect([code, err]).toEqual([2, "sinter: --out-dir src would overwrite src/a.js\n"]);
  });

  test("wants to know where to write", async () => {
    const { code, err } = await sinter({ "src/a.ts": "" }, "autograph", "build");
    expect([code, err]).toEqual([2, "error: required option '-o, --out-dir <folder>' not specified\n"]);
  });
});

describe("sinter autograph show", () => {
  test("prints the transformed source", async () => {
    const { code, out, err } = await sinter(appFiles, "autograph", "show", "src/model.ts");
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^import \* as \$ag from "sinter\/ag";/);
    expect(out).toContain("$ag.while_(");
  });

  test("tells whether a value is there from what it is in a project without strict null checks too", async () => {
    const text = `import type { Tensor } from "sinter";
export const dense = (x: Tensor, bias?: Tensor): Tensor => (bias ? x.add(bias) : x);
`;
    const files = {
      "src/a.ts": text,
      "tsconfig.json": '{ "compilerOptions": { "module": "nodenext" }, "include": ["src"] }',
    };
    const { code, out } = await sinter(files, "autograph", "show", "src/a.ts", "--production");
    expect([code, out]).toEqual([0, text]);
  });

  test("says where there is nothing to transform", async () => {
    const { code, out, err } = await sinter(appFiles, "autograph", "show", "src/kinds.ts");
    expect([code, out, err]).toEqual([0, appFiles["src/kinds.ts"], "src/kinds.ts: nothing to transform\n"]);
  });
});

describe("misuse exits with 2 and says what is wrong", () => {
  test.each([
    ["a file that is not there", ["check", "src/nope.ts"], "sinter: src/nope.ts: no such file\n"],
    ["a pattern that matches nothing", ["check", "src/*.mts"], "sinter: src/*.mts: no such file\n"],
    ["a folder", ["check", "src"], "sinter: src is a folder: name files, or a tsconfig.json with -p\n"],
    ["no such project", ["check", "-p", "nope"], "sinter: nope: no such tsconfig.json\n"],
    ["no such mode", ["check", "--mode", "fast"], 'sinter: --mode is "types" or "syntax", not "fast"\n'],
    ["no such verb", ["chekc"], "error: unknown command 'chekc'\n(Did you mean check?)\n"],
  ])("%s", async (_, args, message) => {
    const { code, err } = await sinter({ "src/a.ts": "" }, "autograph", ...args);
    expect([code, err]).toEqual([2, message]);
  });

  test("a project without source files", async () => {
    const { code, err } = await sinter({}, "autograph", "check");
    expect([code, err]).toEqual([2, "sinter: tsconfig.json names no source files\n"]);
  });

  test("no tsconfig.json anywhere above", async () => {
    process.chdir("/");
    let err = "";
    const code = await run(["autograph", "check"], { out: () => {}, err: (text) => void (err += text) });
    expect([code, err]).toEqual([
      2,
      "sinter: no tsconfig.json in this folder or above it: name files, or a project with -p\n",
    ]);
  });
});

test("the command runs from the sources and from the package", async () => {
  const { app } = await sinter({ "src/a.ts": "" }, "autograph", "check");
  for (const main of [join(start, "packages/cli/src/main.ts"), "../node_modules/sinter/lib/cli/main.js"]) {
    const ran = runIn(app, [process.execPath, main, "autograph", "check"]);
    expect(ran).toEqual({ status: 0, out: "0 errors, 0 warnings in 1 file\n", err: "" });
    expect(runIn(app, [process.execPath, main, "--help"])).toMatchObject({ status: 0, err: "" });
  }
});
