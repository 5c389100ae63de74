// How the choice of an adapter reaches the processes that use it.

/** Names the environment variable with flags for Dawn, with commas between them. */
export const flagsVariable = "SINTER_BENCH_DAWN";
