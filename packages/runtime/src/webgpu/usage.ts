/** Flags of buffers by the numbers of the WebGPU specification: Node has no globals that name them. */

const mapRead = 0x01;
const copySrc = 0x04;
const copyDst = 0x08;
const uniform = 0x40;
const storage = 0x80;
const queryResolve = 0x200;

export const usage = {
  /** Tensors and the arena. */
  memory: storage | copySrc | copyDst,
  /** What the host reads. */
  staging: mapRead | copyDst,
  /** Times of passes. */
  queries: queryResolve | copySrc,
  /** Parameters of dispatches. */
  params: uniform | copyDst,
} as const;

/** `GPUMapMode.READ` */
export const readMode = 0x01;
/** `GPUShaderStage.COMPUTE` */
export const computeStage = 0x04;
