/** The part of the runtime that needs a GPU, when somebody first asks for it: a page that does not carries none of it. */

export function loadWebgpu(): Promise<typeof import("./webgpu/index.ts")> {
  return import("./webgpu/index.ts");
}
