/** The source transform of control flow on tensors. */
export {};
