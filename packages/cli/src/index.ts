/** The sinter command. */
export {};
