/**
 * The loader of bundles that carry a program for WebGPU, alone or beside those for WebAssembly: picks one of them. What runs
 * shaders is a file of its own, which only those load who run shaders. All calls answer later, on either target.
 */
import type { DispatchPlan } from "../dispatch.ts";
import type { BuildName, FileEntry, Manifest, WasmBuild, WebgpuBuild } from "../manifest.ts";
import { BundleError, messageOf } from "./errors.ts";
import type { Origin } from "./files.ts";
import { type AsyncInstance, type AsyncVariable, contentsIn, hosted } from "./hosted.ts";
import { type LoadOptions, opened, type Program, readChecked, type Text, wasmProgram } from "./index.ts";
import { parseJson } from "./json.ts";
import type { SelfTestReport } from "./self-test.ts";
import type { Sized } from "./sizes.ts";
import { manifestFile, vouched } from "./vouch.ts";

export { AssertionError, BundleError } from "./errors.ts";
export type { AsyncVariable } from "./hosted.ts";

export type TargetName = "wasm" | "webgpu";

export interface TargetOptions extends Omit<LoadOptions, "build"> {
  /** The build to take, which tells the target too. */
  readonly build?: BuildName;
  /**
   * Where to run. By default `webgpu` where there is a device, and `wasm`, if the bundle has it, where there is none, or one
   * that cannot run it.
   */
  readonly target?: TargetName;
  /** The device to run on, so that it can be shared; without it one is made. */
  readonly device?: GPUDevice;
  /** Where to look for a device; `navigator.gpu` by default. */
  readonly gpu?: GPU;
}

/** A program that answers later. Calls are queued in the order in which they are made. */
export interface AsyncProgram extends AsyncInstance {
  readonly name: string;
  readonly build: BuildName;
  /** Where it runs. */
  readonly target: TargetName;
  /** The first function. */
  run(...args: readonly unknown[]): Promise<unknown>;
  /** As that of `Program`, on the same device. */
  selfTest(name?: string): Promise<SelfTestReport>;
}

/** What looks at files whose writer is not trusted. */
export interface Checks {
  manifest(manifest: Manifest): void;
  plan(plan: DispatchPlan, manifest: Manifest): void;
}

/**
 * Loads a bundle, as `load` of index.ts does. One that has a program for WebGPU, and all that `index.js` of such a bundle
 * loads, is an `AsyncProgram`.
 */
export function load(
  urls: () => Readonly<Record<string, URL>>,
  text: Text | undefined,
  sized: Sized | undefined,
  options: TargetOptions = {},
  checks?: Checks,
): Promise<AsyncProgram | Program> {
  const { build: wanted, ...others } = options;
  return opened(urls, others, checks?.manifest, async (origin, manifest) => {
    const { builds, variables, constants, weights } = manifest;
    const forDevices = builds.find((build) => build.build === "webgpu") as WebgpuBuild | undefined;
    const modules = builds.filter((build) => build.build !== "webgpu") as readonly WasmBuild[];
    const found = await place(manifest, forDevices, modules.length > 0, options);
    if (found !== undefined) return deviceProgram(origin, manifest, forDevices!, text, sized, options, found, checks);
    const inside = [...variables, ...constants].every(({ address }) => address !== undefined);
    const some = { ...others, ...(wanted === undefined ? {} : { build: wanted as WasmBuild["build"] }) };
    const own = { ...manifest, builds: modules };
    const program = await wasmProgram(origin, own, text, sized, some, inside ? undefined : weights);
    return forDevices === undefined ? program : later(program);
  });
}

/** A device, and whether it is only this program's. */
interface Place {
  readonly device: GPUDevice;
  readonly own: boolean;
  /** What the device comes from: in Node it is gone when nobody holds that. */
  readonly gpu: GPU | undefined;
}

/** The device to run on; undefined for WebAssembly. Throws where neither is possible. */
async function place(
  manifest: Manifest,
  build: WebgpuBuild | undefined,
  hasModules: boolean,
  { build: wanted, target = targetOf(wanted), device, gpu }: TargetOptions,
): Promise<Place | undefined> {
  const fail = (why: string): never => {
    throw new BundleError(`${manifestFile}: ${why}`);
  };
  if (target !== undefined && target !== "wasm" && target !== "webgpu")
    fail(`target must be "wasm" or "webgpu", not ${JSON.stringify(target)}`);
  if (wanted !== undefined && target !== targetOf(wanted)) fail(`the build ${wanted} is not for the target ${target}`);
  if (target === "wasm" && !hasModules) fail("this bundle has no program for wasm, only for webgpu");
  if (target === "webgpu" && build === undefined) fail("this bundle has no program for webgpu, only for wasm");
  if (target === "wasm" || build === undefined) return undefined;
  const found = await deviceFor(manifest, build, device, gpu);
  if (typeof found !== "string") return found;
  const named = target === "webgpu" || device !== undefined || gpu !== undefined;
  return hasModules && !named ? undefined : fail(`webgpu cannot be used: ${found}`);
}

function targetOf(build: BuildName | undefined): TargetName | undefined {
  return build && (build === "webgpu" ? build : "wasm");
}

/** A device that can run the build, or why there is none. */
async function deviceFor(
  { name, functions }: Manifest,
  { limits: needed }: WebgpuBuild,
  device: GPUDevice | undefined,
  gpu: GPU | undefined = globalThis.navigator?.gpu,
): Promise<Place | string> {
  if (device !== undefined) return lacking(needed, device.limits, "device") ?? { device, own: false, gpu };
  if (!gpu)
    return 'there is no navigator.gpu. In Node, give { gpu: create([]) } with import { create } from "webgpu"; in a browser that has WebGPU, the page must come from https or localhost';
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null)
    return "there is no adapter: the machine has no GPU that can be used, or the browser does not allow it";
  const { limits } = adapter;
  const why = lacking(needed, limits, "adapter");
  if (why !== undefined) return why;
  // How much programs for several sizes need shows when they are called.
  const { maxBufferSize, maxStorageBufferBindingSize } = limits;
  const most = functions.some(({ sizes }) => sizes) ? { maxBufferSize, maxStorageBufferBindingSize } : {};
  const own = await adapter.requestDevice({ label: name, requiredLimits: { ...needed, ...most } });
  return { device: own, own: true, gpu };
}

function lacking(needed: WebgpuBuild["limits"], has: GPUSupportedLimits, what: string): string | undefined {
  for (const [name, least] of Object.entries(needed)) {
    const there = has[name as keyof GPUSupportedLimits];
    if (!((there as number) >= least)) return `it needs a ${name} of ${least}, and the ${what} has ${there}`;
  }
  return undefined;
}

async function deviceProgram(
  origin: Origin,
  manifest: Manifest,
  build: WebgpuBuild,
  text: Text | undefined,
  sized: Sized | undefined,
  { log = console.log }: TargetOptions,
  { device, own, gpu }: Place,
  checks: Checks | undefined,
): Promise<AsyncProgram> {
  const { name, variables, constants, weights, functions } = manifest;
  const fail = (why: string): never => {
    throw new BundleError(why);
  };
  const read = async (entry: FileEntry | undefined): Promise<Uint8Array> =>
    entry === undefined ? new Uint8Array() : readChecked(origin, entry);
  try {
    const [{ open }, kernels, dispatch, stored] = await Promise.all([
      import("./device.ts").catch((error) => fail(`webgpu.js: ${messageOf(error)}`)),
      read(build),
      read(build.dispatch),
      read(weights),
    ]);
    const plan = planIn(dispatch, build.dispatch.file, manifest);
    checks?.plan(plan, manifest);
    const decoded = new TextDecoder().decode(kernels);
    const bundle = await open({ manifest, plan, kernels: decoded, device }).catch((error) =>
      fail(`${build.file}: ${messageOf(error)}`),
    );
    const contents = weights === undefined ? [] : contentsIn([...variables, ...constants], stored, weights.file);
    const instance = hosted(
      manifest,
      bundle.start(contents, (format, values) => log(text!(format, values))),
      sized,
      build.file,
    );
    return {
      ...instance,
      name,
      build: "webgpu",
      target: "webgpu",
      run: instance.functions[functions[0]!.name]!,
      async selfTest(only) {
        const entry = manifest.selfTest ?? fail(`${manifestFile}: has no recorded calls`);
        const { selfTest } = await import("./self-test.ts").catch((error) => fail(`selftest.js: ${messageOf(error)}`));
        const bytes = await read(entry);
        const fresh = hosted(
          manifest,
          bundle.start(contents, () => {}),
          sized,
          build.file,
        );
        return selfTest({ manifest, build: "webgpu", instance: fresh, bytes, only, fail }).finally(fresh.dispose);
      },
      dispose() {
        instance.dispose();
        if (own && gpu !== undefined) device.destroy();
      },
    };
  } catch (error) {
    if (own) device.destroy();
    throw error;
  }
}

function planIn(bytes: Uint8Array, file: string, manifest: Manifest): DispatchPlan {
  let plan: DispatchPlan;
  try {
    plan = parseJson(new TextDecoder().decode(bytes)) as DispatchPlan;
  } catch (error) {
    throw new BundleError(`${file}: ${messageOf(error)}`);
  }
  if (plan.manifest !== vouched(manifest)) throw new BundleError(`${file}: was not written with this ${manifestFile}`);
  return plan;
}

/** A program that answers at once as one that answers later. */
function later(program: Program): AsyncProgram {
  const functions = Object.fromEntries(
    Object.entries(program.functions).map(([name, f]) => [name, async (...args: readonly unknown[]) => f(...args)]),
  );
  const variables = Object.fromEntries(
    Object.values(program.variables).map((cell): [string, AsyncVariable] => [
      cell.name,
      { ...cell, read: async () => cell.read(), write: async (value) => cell.write(value) },
    ]),
  );
  return {
    ...program,
    target: "wasm",
    functions,
    variables,
    run: async (...args) => program.run(...args),
    saveState: async () => program.saveState(),
    loadState: async (bytes) => program.loadState(bytes),
  };
}
