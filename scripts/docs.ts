// `npm run docs`: writes the generated parts of docs/*.md, which stand between `<!-- generated: name -->` and `<!-- end -->`.
// With --check it changes nothing and fails where the text differs from what it would write.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { codeTable } from "./docs/codes.ts";
import { coverageTables } from "./docs/coverage.ts";
import { sourceExcerpts } from "./docs/sources.ts";
import { stageTexts } from "./docs/stages.ts";

const docs = join(dirname(dirname(fileURLToPath(import.meta.url))), "docs");
const check = process.argv.includes("--check");

const texts = new Map([...stageTexts(), ...coverageTables(), ...sourceExcerpts(), ...codeTable()]);
const used = new Set<string>();
const stale: string[] = [];

for (const file of readdirSync(docs).filter((name) => name.endsWith(".md"))) {
  const path = join(docs, file);
  const old = readFileSync(path, "utf8");
  const fresh = old.replace(
    /(<!-- generated: ([\w-]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_whole: string, start: string, name: string, end: string) => {
      const text = texts.get(name);
      if (text === undefined) throw new Error(`docs/${file}: there is nothing to generate under the name ${name}`);
      used.add(name);
      return `${start}\n${text}\n\n${end}`;
    },
  );
  if (fresh === old) continue;
  stale.push(`docs/${file}`);
  if (!check) writeFileSync(path, fresh);
}

const unused = [...texts.keys()].filter((name) => !used.has(name));
if (unused.length > 0) throw new Error(`no document has a place for: ${unused.join(", ")}`);
if (check && stale.length > 0) {
  console.error(`Out of date: ${stale.join(", ")}. Run \`npm run docs\` and look at what changed.`);
  process.exitCode = 1;
} else console.log(stale.length > 0 ? `wrote ${stale.join(", ")}` : "the documents are up to date");
