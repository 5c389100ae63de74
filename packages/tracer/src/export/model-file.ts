/** `model.json`: the structure of a saved model, and which function of the bundle stands where. */
import { crc32 } from "@sinter/runtime";
import { SinterError } from "../errors.ts";
import type { Attribute, Attributes } from "./attributes.ts";

export const modelFile = "model.json";
const format = "sinter-model";

export interface SavedModel {
  readonly tree: Attributes["tree"];
  /** Names in the bundle by path. */
  readonly functions: Readonly<Record<string, string>>;
  /** Names of functions that were compiled with fastMath. */
  readonly fastMath: readonly string[];
}

/** The last line but one holds the checksum of all bytes before it. */
export function encodeModel(model: SavedModel): Uint8Array {
  const body = `${JSON.stringify({ format, version: 1, ...model }, null, 1).slice(0, -2)},\n`;
  return new TextEncoder().encode(`${body}${ending(body)}`);
}

function ending(body: string): string {
  return ` "crc32": "${crc32(new TextEncoder().encode(body))}"\n}\n`;
}

/** Throws for a file that is incomplete, altered or of another kind. */
export function decodeModel(bytes: Uint8Array): SavedModel {
  const text = new TextDecoder().decode(bytes);
  const at = text.lastIndexOf(' "crc32": ');
  if (at < 0 || text.slice(at) !== ending(text.slice(0, at)))
    throw new SinterError(`loadModel: ${modelFile} is incomplete or altered: its checksum is not that of its contents`);
  const read = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const { tree, functions, fastMath } = read;
  if (
    read["format"] !== format ||
    read["version"] !== 1 ||
    !isAttribute(tree) ||
    !isTexts(functions) ||
    !isTexts(fastMath)
  )
    throw new SinterError(`loadModel: ${modelFile} is not a model of this version of Sinter: save it again`);
  return {
    tree: tree as Attributes["tree"],
    functions: functions as Record<string, string>,
    fastMath: fastMath as readonly string[],
  };
}

function isTexts(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every((text) => typeof text === "string");
}

function isAttribute(value: unknown): value is Attribute {
  if (typeof value !== "object" || value === null) return false;
  const { kind, path, items, keys } = value as Readonly<Record<string, unknown>>;
  if (kind === "function" || kind === "variable") return typeof path === "string";
  if (!Array.isArray(items)) return false;
  if (kind === "array") return items.every((item) => item === null || isAttribute(item));
  return kind === "object" && Array.isArray(keys) && keys.length === items.length && items.every(isAttribute);
}
