/** The part of the runtime that needs a GPU, when somebody first asks for it: a page that does not carries none of it. */

type Webgpu = typeof import("./webgpu/index.ts");

let loaded: Webgpu | undefined;

export async function loadWebgpu(): Promise<Webgpu> {
  loaded ??= await import("./webgpu/index.ts");
  return loaded;
}

/** Whether `loadWebgpu` has resolved. */
export function hasWebgpu(): boolean {
  return loaded !== undefined;
}

/** What `loadWebgpu` loaded. Throws before it has. */
export function loadedWebgpu(): Webgpu {
  if (loaded === undefined)
    throw new Error('the compiler to WGSL is not loaded: write await ready("webgpu") before it is asked for');
  return loaded;
}
