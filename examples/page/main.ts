/** The page: one form, a card for each backend, the curves, and what the trained networks read. */
import { ready } from "sinter";
import { adapterLabel } from "./adapter.ts";
import { addCard, type Card, element } from "./card.ts";
import { drawChart } from "./chart.ts";
import { fetchDigits, type PageDigits } from "./digits.ts";
import { programsIn } from "./programs.ts";
import { showSamples } from "./samples.ts";
import { type BackendName, type Outcome, train } from "./train.ts";

const find = <T extends HTMLElement>(selector: string): T => document.querySelector<T>(selector)!;

const titles: Readonly<Record<BackendName, string>> = { wasm: "WebAssembly", webgpu: "WebGPU" };
const backends: readonly BackendName[] = ["wasm", "webgpu"];
const status = find("#status");
const button = find<HTMLButtonElement>("#start");
const cards: Readonly<Record<BackendName, Card>> = {
  wasm: addCard(find("#cards"), "wasm", titles.wasm, "CPU, one thread, SIMD"),
  webgpu: addCard(find("#cards"), "webgpu", titles.webgpu, "No device asked for yet"),
};
const chart = drawChart(find("#chart"), [
  { label: titles.wasm, color: "#c9bbfa", width: 8 },
  { label: titles.webgpu, color: "#0a6b52", width: 2 },
]);

const programs = programsIn(find<HTMLDetailsElement>("#programs"));

let digits: PageDigits | undefined;
let isRunning = false;
let isStopped = false;

find("#controls").addEventListener("submit", (event) => {
  event.preventDefault();
  if (isRunning) isStopped = true;
  else void run();
});

async function run(): Promise<void> {
  const steps = Number(find<HTMLInputElement>("#steps").value);
  const chosen = backends.filter((name) => find<HTMLInputElement>(`input[value=${name}]`).checked);
  const losses: Record<BackendName, readonly number[]> = { wasm: [], webgpu: [] };
  const readings: Int32Array[] = [];
  isRunning = true;
  status.classList.remove("failed");
  isStopped = false;
  button.textContent = "Stop";
  for (const name of backends) cards[name].clear();
  showLosses(losses, steps);
  try {
    status.textContent = "Fetching the digits";
    digits ??= await fetchDigits();
    for (const name of chosen) {
      if (isStopped) break;
      status.textContent = `Compiling for ${titles[name]}`;
      if (!(await isReady(name))) continue;
      const outcome = await train(name, digits, steps, {
        compiled: (milliseconds) => {
          status.textContent = `Training on ${titles[name]}`;
          cards[name].show({ compile: duration(milliseconds) });
        },
        progress: (found, milliseconds) => {
          losses[name] = [...found];
          if (milliseconds > 0) cards[name].show({ step: duration(milliseconds) });
          cards[name].show({ loss: found.at(-1)?.toFixed(4) ?? "–" });
          chart.show(
            backends.map((one) => losses[one]),
            steps,
          );
        },
        stopped: () => isStopped,
      });
      readings.push(outcome.readings);
      cards[name].show({ accuracy: `${(outcome.accuracy * 100).toFixed(1)}%`, call: callOf(outcome) });
      programs.show(outcome.lowered);
      showSamples(find("#samples"), digits.test, readings);
      find("#reading").hidden = false;
    }
    showLosses(losses, steps);
    status.textContent = isStopped ? "Stopped" : "Done";
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : String(error);
    status.classList.add("failed");
  }
  isRunning = false;
  button.textContent = "Train";
}

/** Whether a backend can be used; where it cannot, its card says why in a sentence. */
async function isReady(name: BackendName): Promise<boolean> {
  try {
    await ready(name);
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).replace(/^ready: webgpu: |\n.*/gs, "");
    cards[name].show({ place: "Not available here", remark: `WebGPU cannot be used: ${reason}.`, isAvailable: false });
    return false;
  }
  if (name === "webgpu") {
    const { name: adapter, isSoftware } = adapterLabel();
    cards[name].show({
      place: isSoftware ? `${adapter} (software)` : adapter,
      remark: isSoftware ? "This adapter is software on the CPU: its times say nothing about a GPU." : "",
    });
  }
  return true;
}

function callOf({ lowered }: Outcome): string {
  const { kernels, dispatches } = lowered.cost();
  return dispatches === undefined ? `${kernels}` : `${kernels} (${dispatches} dispatches)`;
}

/** The table, and how far the losses of the two lie apart. */
function showLosses(losses: Readonly<Record<BackendName, readonly number[]>>, steps: number): void {
  chart.show(
    backends.map((name) => losses[name]),
    steps,
  );
  const present = backends.filter((name) => losses[name].length > 0);
  const count = Math.max(...backends.map((name) => losses[name].length));
  const both = Math.min(...backends.map((name) => losses[name].length));
  const differences = Array.from({ length: both }, (_, i) => Math.abs(losses.wasm[i]! - losses.webgpu[i]!));
  const farthest = Math.max(...differences);
  find("#agreement").textContent =
    both === 0 ? "" : `In no step do the two losses differ by more than ${farthest.toPrecision(2)}.`;
  find("#table").hidden = count === 0;
  const row = (tag: "th" | "td", texts: readonly string[]): HTMLElement => {
    const made = element("tr");
    for (const text of texts) made.append(element(tag, {}, text));
    return made;
  };
  find("#table thead").replaceChildren(row("th", ["step", ...present.map((name) => titles[name])]));
  find("#table tbody").replaceChildren(
    ...Array.from({ length: count }, (_, i) =>
      row("td", [`${i + 1}`, ...present.map((name) => losses[name][i]?.toFixed(6) ?? "")]),
    ),
  );
}

function duration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`;
}
