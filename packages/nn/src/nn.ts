/** What `nn` holds. */
export type { Activation as ActivationLike } from "./activations.ts";
export * as init from "./init.ts";
export { type AttentionCallOptions, type AttentionOptions, MultiHeadAttention } from "./layers/attention.ts";
export {
  Conv1d,
  type Conv1dOptions,
  Conv2d,
  type Conv2dOptions,
  ConvTranspose2d,
  type ConvTranspose2dOptions,
  DepthwiseConv2d,
  type DepthwiseConv2dOptions,
} from "./layers/conv.ts";
export { Dense, type DenseOptions } from "./layers/dense.ts";
export { Dropout, type DropoutOptions } from "./layers/dropout.ts";
export { Embedding, type EmbeddingOptions } from "./layers/embedding.ts";
export { Layer, type LayerOptions } from "./layers/layer.ts";
export { BatchNorm, type BatchNormOptions, LayerNorm, type NormOptions } from "./layers/norm.ts";
export { ActivationLayer as Activation, Flatten } from "./layers/plain.ts";
export {
  AvgPool1d,
  AvgPool2d,
  GlobalAveragePool,
  type GlobalPoolOptions,
  MaxPool1d,
  MaxPool2d,
  type PoolOptions,
} from "./layers/pool.ts";
export {
  GRU,
  type GRUOptions,
  LSTM,
  type LSTMOptions,
  type RecurrentCallOptions,
  type RecurrentOptions,
  SimpleRNN,
} from "./layers/recurrent.ts";
export { type Part, Sequential } from "./layers/sequential.ts";
export { type CallOptions, Module } from "./module.ts";
export { l1, l1l2, l2, type Regularizer } from "./regularizers.ts";
export { setSeed } from "./seed.ts";
