/** What `nn` holds. */
export type { Activation } from "./activations.ts";
export * as init from "./init.ts";
export { Dense, type DenseOptions } from "./layers/dense.ts";
export { Dropout, type DropoutOptions } from "./layers/dropout.ts";
export { Embedding, type EmbeddingOptions } from "./layers/embedding.ts";
export { Layer, type LayerOptions } from "./layers/layer.ts";
export { BatchNorm, type BatchNormOptions, LayerNorm, type NormOptions } from "./layers/norm.ts";
export { type Part, Sequential } from "./layers/sequential.ts";
export { type CallOptions, Module } from "./module.ts";
export { l1, l1l2, l2, type Regularizer } from "./regularizers.ts";
export { setSeed } from "./seed.ts";
