// The names of the planned public surface, by topic: docs/COVERAGE.md says which of them exist. A dot leads into an
// object; `Tensor.` and `Variable.` names are members, `compile.` names options, `f.` members of compiled functions.

export const apiNames: Readonly<Record<string, string>> = {
  "making tensors": "tensor zeros ones full eye arange linspace zerosLike onesLike",
  tensors: `Tensor.shape Tensor.dims Tensor.dtype Tensor.rank Tensor.size Tensor.data Tensor.dataSync Tensor.array Tensor.item
    Tensor.view Tensor.to Tensor.gpuBuffer Tensor.toString Tensor.dispose`,
  "element by element": `add sub mul div mod pow neg abs sign square sqrt rsqrt reciprocal exp expm1 log log1p log2 sin cos tan asin
    acos atan atan2 sinh cosh tanh erf sigmoid softplus relu leakyRelu elu selu gelu silu floor ceil round trunc clip minimum maximum
    eq ne lt le gt ge and or not xor where isNaN isFinite`,
  reductions: `sum prod mean variance std max min argMax argMin all any logSumExp norm cumsum cumprod softmax logSoftmax`,
  products: "matmul dot outer einsum tensordot conv1d conv2d convTranspose2d depthwiseConv2d maxPool avgPool",
  shapes: `reshape flatten squeeze expandDims transpose swapAxes broadcastTo concat stack split tile repeat flip roll pad slice`,
  indexing: `Tensor.at gather takeAlongAxis scatter Tensor.set Tensor.addAt oneHot topK sort argSort cast triu tril diag`,
  functions: `compile f.traces f.explain f.lower f.record setBackend listBackends ready withEager print assert hostCall profile profileAsync
    evalShape fromGPUBuffer scope memory spec`,
  "options of compile": `compile.name compile.signature compile.backend compile.threads compile.fastMath compile.precision compile.autograph
    compile.reduceRetracing compile.retraceLimit compile.frozen compile.debug compile.verify`,
  state: "variable Variable.value Variable.assign Variable.assignAdd Variable.assignSub",
  transformations: `grad valueAndGrad gradients GradientTape vjp jvp linearize jacfwd jacrev hessian stopGradient customVjp
    customJvp checkpoint vmap`,
  "control flow": "cond switchCase whileLoop fori scan range",
  random: `random.key random.split random.bits random.normal random.uniform random.bernoulli random.categorical
    random.truncatedNormal random.permutation random.Generator`,
  "networks, training, data": "nn losses metrics optim data fit",
  files: `saveWeights loadWeights saveModel loadModel saveCheckpoint restoreCheckpoint exportBundle loadBundle`,
};
