/** Debug builds: which node first made NaN or an infinity or read out of range. */
export { poisonDead } from "./poison.ts";
export { isLoop, loopsAround, roundBehind } from "./rounds.ts";
export type { WatchSite } from "./sites.ts";
export { atSite, settled, type Watched, watch } from "./watch.ts";
