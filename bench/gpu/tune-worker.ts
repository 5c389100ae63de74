// The process of `npm run bench:gpu:tune` that has the GPU: each product with every way to cut it.
import "./adapter.ts";
import { type Tile, tileProblem } from "@sinter/codegen-wgsl";
import { parseGraph } from "@sinter/ir";
import { compileToWebgpu, GpuMachine, instantiateOnGpu } from "@sinter/runtime/webgpu";
import { compare } from "../harness/compare.ts";
import { matmulInputs } from "../harness/inputs.ts";
import { printSection } from "../harness/report.ts";
import { runQueued } from "../harness/sampling.ts";
import { percent, type Section, significant } from "../harness/section.ts";
import { largeMatmulJob } from "./matmul-job.ts";
import { timeOfPasses } from "./probe.ts";

/** a (m x k) times b (k x n); in "tn" a lies as k x m, in "nt" b as n x k. */
export interface TuneShape {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly layout: "nn" | "tn" | "nt";
}

export interface TuneRequest {
  readonly shapes: readonly TuneShape[];
  /** Undefined for all that the device can have. */
  readonly tiles: readonly Tile[] | undefined;
  readonly timed: boolean;
}

/** A way to cut a product; undefined for what the schedule chooses. */
type Choice = { readonly tile: Tile; readonly parts: number } | undefined;

interface Tried {
  readonly choice: Choice;
  /** As the schedule names it. */
  readonly schedule: string;
  /** Why it does not count; empty if its result is right. */
  readonly problem: string;
  /** Milliseconds; undefined where nothing is timed. */
  readonly time: number | undefined;
}

/** Ways that are shown, the fastest first. */
const shown = 12;
/** The fastest tiles of whole sums that are tried with sums in parts. */
const cutFurther = 6;
const partCounts = [2, 4, 8, 16, 32];
/** Summed positions that a part has at least. */
const shortestPart = 32;
/** Groups beyond which no sum needs to be cut. */
const mostGroups = 1024;
/** Milliseconds of a series of runs. */
const series = 10;

// It must not outlive who asked.
process.on("disconnect", () => process.exit(1));
process.once("message", (request: TuneRequest) => {
  tune(request).then(
    (code) => process.exit(code),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function tune({ shapes, tiles, timed }: TuneRequest): Promise<number> {
  const machine = await GpuMachine.acquire();
  let wrong = 0;
  for (const shape of shapes) {
    const product = new Product(machine, shape);
    // Without times there is nothing to choose from: a sample of the tiles shows that they work.
    const candidates = tiles ?? allTiles().filter((_, index) => timed || index % 11 === 0);
    const choices = candidates.filter((tile) => isWorthTrying(machine, shape, tile));
    const tried: Tried[] = [];
    for (const choice of [undefined, ...choices.map((tile) => ({ tile, parts: 1 }))])
      tried.push(await product.attempt(choice, timed));
    for (const choice of cut(shape, tried, timed ? cutFurther : 2)) tried.push(await product.attempt(choice, timed));
    const section = sectionOf(shape, tried);
    printSection(section, true);
    wrong += section.failures.length;
    for (const failure of section.failures) console.error(`FAILED  ${section.name}: ${failure}`);
    product.dispose();
  }
  console.log(wrong === 0 ? "\nAll results are right." : `\n${wrong} wrong.`);
  return wrong === 0 ? 0 : 1;
}

function allTiles(): Tile[] {
  const sides = [16, 32, 64, 128];
  return sides.flatMap((rows) =>
    sides.flatMap((columns) =>
      [8, 16, 32].flatMap((depth) =>
        [1, 2].flatMap((rowVectors) =>
          [1, 2].map((columnVectors) => ({ rows, columns, depth, rowVectors, columnVectors })),
        ),
      ),
    ),
  );
}

/** A tile that the device can have, of more than a few threads, most of which lies within the result. */
function isWorthTrying(machine: GpuMachine, { m, n }: TuneShape, tile: Tile): boolean {
  const threads = (tile.rows * tile.columns) / (16 * tile.rowVectors * tile.columnVectors);
  const fits = (side: number, extent: number): boolean => side < 2 * extent || side === 16;
  return (
    tileProblem(tile, machine.features) === undefined && threads >= 16 && fits(tile.rows, m) && fits(tile.columns, n)
  );
}

/** The fastest of what was tried, with sums in parts where there are few groups. */
function cut({ m, k, n }: TuneShape, tried: readonly Tried[], count: number): NonNullable<Choice>[] {
  const fastest = tried.filter(({ choice, problem }) => choice !== undefined && problem === "").sort(byTime);
  return fastest.slice(0, count).flatMap(({ choice }) => {
    const { tile } = choice!;
    const groups = Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns);
    return partCounts
      .filter((parts) => parts * shortestPart <= k && parts * groups <= mostGroups)
      .map((parts) => ({ tile, parts }));
  });
}

const byTime = (a: Tried, b: Tried): number => (a.time ?? 0) - (b.time ?? 0);

class Product {
  readonly #machine: GpuMachine;
  readonly #shape: TuneShape;
  readonly #a: ReturnType<GpuMachine["upload"]>;
  readonly #b: ReturnType<GpuMachine["upload"]>;
  readonly #expected: Float64Array;

  constructor(machine: GpuMachine, shape: TuneShape) {
    this.#machine = machine;
    this.#shape = shape;
    const { m, k, n, layout } = shape;
    const { a, b } = matmulInputs({ kind: "matmul", m, k, n });
    this.#a = machine.upload("f32", layout === "tn" ? transposed(a, m, k) : a);
    this.#b = machine.upload("f32", layout === "nt" ? transposed(b, k, n) : b);
    this.#expected = largeMatmulJob(m, k, n).reference();
  }

  async attempt(choice: Choice, timed: boolean): Promise<Tried> {
    const machine = this.#machine;
    const { m, k, n } = this.#shape;
    const job = largeMatmulJob(m, k, n);
    const graph = parseGraph(graphText(this.#shape));
    const made = compileToWebgpu(graph, choice === undefined ? {} : { product: choice }, machine.features);
    const schedule = made.loops.kernels.map((kernel) => kernel.schedule).join(", ");
    const executable = instantiateOnGpu(machine, made.program);
    const out = machine.allocate(4 * m * n);
    const buffers = executable.slots.map(({ kind, index }) => {
      if (kind === "arg") return (index === 0 ? this.#a : this.#b).buffer;
      return kind === "result" ? out.buffer : undefined;
    });
    const sizes = buffers.map(() => 0);
    try {
      await executable.ready;
      // What an earlier way left there must not pass for this one's result.
      machine.write(out.buffer, 0, new Float32Array(m * n).fill(Number.NaN));
      await executable.enqueue(buffers, sizes);
      const result = Float32Array.from(await machine.download(out, "f32", m * n));
      const { ok, problem } = compare(job.digest!(result), this.#expected, job.tolerance);
      const time = ok && timed ? await this.#time(() => void executable.enqueue(buffers, sizes)) : undefined;
      return { choice, schedule, problem: ok ? "" : problem, time };
    } catch (error) {
      return { choice, schedule, problem: error instanceof Error ? error.message : String(error), time: undefined };
    } finally {
      executable.dispose();
      machine.release(out);
    }
  }

  /** The best of three series: by the device's clock, or by that of the host where the device has none. */
  async #time(run: () => void): Promise<number> {
    const { device } = this.#machine;
    const job = {
      run,
      finish: () => device.queue.onSubmittedWorkDone(),
      result: () => new Float32Array(0),
      dispose: () => {},
    };
    const first = await runQueued(job, 2);
    const count = Math.max(2, Math.min(500, Math.ceil((2 * series) / first)));
    let best = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 3; attempt++) {
      let wall = 0;
      const passes = await timeOfPasses(device, async () => {
        wall = await runQueued(job, count);
      });
      best = Math.min(best, (passes ?? wall) / count);
    }
    return best;
  }

  dispose(): void {
    this.#machine.release(this.#a);
    this.#machine.release(this.#b);
    this.#machine.trim();
  }
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j]!;
  return out;
}

function graphText({ m, k, n, layout }: TuneShape): string {
  const [a, b] = [layout === "tn" ? `${k},${m}` : `${m},${k}`, layout === "nt" ? `${n},${k}` : `${k},${n}`];
  const contract = `[[${layout === "tn" ? 0 : 1}],[${layout === "nt" ? 1 : 0}]]`;
  return `graph @product(%a: f32[${a}], %b: f32[${b}]) {
  %out = dot %a, %b {batch=[[],[]], contract=${contract}} : f32[${m},${n}]
  return %out
}
`;
}

function sectionOf({ m, k, n, layout }: TuneShape, tried: readonly Tried[]): Section {
  const own = tried[0]!;
  const right = tried.filter(({ problem }) => problem === "");
  const name = `${m}x${k}x${n}${layout}`;
  const timed = right.filter(({ time }) => time !== undefined).sort(byTime);
  const best = timed[0]?.time;
  const rows = [...new Set([...timed.slice(0, shown), ...timed.filter((each) => each === own)])].map((each) => {
    const { choice, schedule, time } = each;
    const threads =
      choice && (choice.tile.rows * choice.tile.columns) / (16 * choice.tile.rowVectors * choice.tile.columnVectors);
    return [
      schedule,
      each === own ? "chosen by the schedule" : `${choice!.tile.rowVectors}x${choice!.tile.columnVectors} vectors`,
      threads?.toString() ?? "",
      significant(time!),
      significant((2 * m * k * n) / time! / 1e6),
      percent(best! / time!),
    ];
  });
  return {
    name,
    title: `${m}x${k} by ${k}x${n}, ${layout}`,
    tables:
      rows.length === 0
        ? []
        : [{ columns: ["cut", "a thread's block", "threads", "ms", "GFLOP/s", "of the best"], rows }],
    notes: [`${right.length} of ${tried.length} ways give the right result; chosen by the schedule: ${own.schedule}`],
    targets: [],
    failures: tried.filter(({ problem }) => problem !== "").map(({ schedule, problem }) => `${schedule}: ${problem}`),
    data: tried,
  };
}
