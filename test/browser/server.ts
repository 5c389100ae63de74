/** A static server on this machine's loopback: files from memory, a strict policy for scripts, and a list of requests. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";

/** Scripts of the same origin only, no eval; WebAssembly may be compiled. Workers and requests of the same origin. */
export const strictPolicy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'";

export interface ServerOptions {
  /** By path without the first slash. */
  readonly files: ReadonlyMap<string, string | Uint8Array>;
  /** Content-Security-Policy of every answer; `strictPolicy` unless given. */
  readonly policy?: string;
  /** Replaces the MIME type of an extension such as ".wasm"; "" sends none. */
  readonly types?: Readonly<Record<string, string>>;
}

export interface StaticServer {
  /** Ends with a slash. */
  readonly url: string;
  /** Paths that were asked for, in order, without the first slash. */
  readonly requests: string[];
  close(): Promise<void>;
}

const standardTypes: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};

export async function serve({ files, policy = strictPolicy, types = {} }: ServerOptions): Promise<StaticServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname).slice(1);
    const content = files.get(path);
    if (path !== "favicon.ico") requests.push(path);
    response.setHeader("Content-Security-Policy", policy);
    const type = types[extname(path)] ?? standardTypes[extname(path)] ?? "application/octet-stream";
    if (type !== "") response.setHeader("Content-Type", type);
    response.statusCode = content === undefined ? 404 : 200;
    response.end(content ?? `There is no ${path}.`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    requests,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())));
    },
  };
}
