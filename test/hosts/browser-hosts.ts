/** A page and a Web Worker of headless Chromium, both under the strict policy of the static server. */
import type { Browser } from "playwright-core";
import { serve } from "../browser/server.ts";
import { type Files, type Host, jobScript } from "./command-hosts.ts";
import type { Answer, Job } from "./job.ts";

/** What came back, and every file that was asked for. */
export interface Visit {
  readonly answers: readonly Answer[];
  readonly requests: readonly string[];
}

const runScript = `
import { runJobs } from "./job.js";
const jobs = await (await fetch(new URL("jobs.json", import.meta.url))).json();
const answer = await runJobs(jobs, import.meta.url).then(
  (answers) => JSON.stringify({ answers }),
  (error) => JSON.stringify({ error: String(error) }),
);
`;

const scripts = {
  page: `${runScript}globalThis.answer = answer;`,
  worker: `${runScript}postMessage(answer);`,
  "start-worker": `
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => (globalThis.answer = data);
worker.onerror = ({ message }) => (globalThis.answer = JSON.stringify({ error: message }));
`,
};

/** The hosts of a browser that runs when they are used. */
export function browserHosts(browser: () => Browser): readonly Host[] {
  return (["page", "worker"] as const).map((kind) => ({
    name: `Chromium, ${kind === "page" ? "in a page" : "in a Web Worker"}`,
    engine: "V8",
    run: async (files, jobs) => (await visit(browser(), kind, files, jobs)).answers,
  }));
}

/** Opens a page that does the jobs itself or has a worker do them; `types` are wrong MIME types by extension. */
export async function visit(
  browser: Browser,
  kind: "page" | "worker",
  files: Files,
  jobs: readonly Job[],
  types: Readonly<Record<string, string>> = {},
): Promise<Visit> {
  const main = kind === "page" ? "page.js" : "start-worker.js";
  const all = new Map<string, string | Uint8Array>([
    ...files,
    ["index.html", `<!doctype html><title>Bundle</title><script type="module" src="${main}"></script>`],
    ["job.js", jobScript],
    ["jobs.json", JSON.stringify(jobs)],
    ...Object.entries(scripts).map(([name, text]) => [`${name}.js`, text] as const),
  ]);
  const { answer, requests } = await open(browser, all, types);
  const { answers, error } = JSON.parse(answer) as { answers?: readonly Answer[]; error?: string };
  if (answers === undefined) throw new Error(error);
  return { answers, requests };
}

/** Serves files with an index.html, and waits until the page has set `globalThis.answer`, a text. */
export async function open(
  browser: Browser,
  files: Files,
  types: Readonly<Record<string, string>> = {},
): Promise<{ readonly answer: string; readonly requests: readonly string[] }> {
  const server = await serve({ files, types });
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => void (message.type() === "error" && errors.push(message.text())));
  try {
    await page.goto(`${server.url}index.html`);
    const answer = await Promise.race([
      page.waitForFunction(() => (globalThis as { answer?: string }).answer, undefined, { timeout: 60_000 }),
      new Promise<never>((_, reject) =>
        page.once("pageerror", (error) => reject(new Error(`The page failed: ${String(error)}`))),
      ),
    ]);
    return { answer: (await answer.jsonValue()) ?? "", requests: [...server.requests] };
  } catch (error) {
    throw new Error(`${String(error)}\nErrors of the page:\n${errors.join("\n")}`);
  } finally {
    await page.close();
    await server.close();
  }
}
