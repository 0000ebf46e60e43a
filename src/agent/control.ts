import { timingSafeEqual } from 'node:crypto';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { z } from 'zod';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { metricsPage } from './metrics-page.ts';
import type { RunningAgent } from './run.ts';
import { SettingsError } from './settings.ts';
import type { ShelfChange } from './shelf.ts';
import { modelBody, statusBody } from './status-body.ts';
import { replaceFile } from './swan-folder-writer.ts';
import { SWAN_REQUESTS, SWAN_STATUS, swanRequests, swanStatus } from './swan-page.ts';

/**
 * The agent's local REST interface: what it is doing, its limits, and a page for Prometheus. It is always at a socket file in
 * the agent's folder that only its owner can open, which is how `cygnet agent status` and the like find it; and, where a port
 * is set, over TCP, on this machine unless another address is named. Over TCP everything but `/health` needs the token that
 * stands in the folder, so that neither another user of the machine nor a page in a browser can use it.
 */
const SOCKET_FILE = 'agent.sock';
export const TOKEN_FILE = 'api_token';

const BODY_BYTES_MAX = 65_536;
/** What systems allow for the name of a socket file. */
const SOCKET_PATH_BYTES_MAX = 100;

export interface ControlParts {
  readonly agent: Pick<RunningAgent, 'state' | 'latest' | 'limit' | 'limitModel'>;
  readonly folder: string;
  readonly api: { readonly host: string; readonly port: number } | undefined;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly log: Logger;
  readonly pid: number;
  /** Reads the models again. Throws a `SettingsError` when they cannot be used. */
  readonly reload: () => Promise<ShelfChange>;
  /** Begins to leave. */
  readonly drain: () => void;
}

export interface Control {
  /** Over TCP, where it listens there. */
  readonly port: number | undefined;
  close(): Promise<void>;
}

/** The socket file of a folder; undefined where its name would be too long for one. */
export function socketFile(folder: string): string | undefined {
  const file = path.join(folder, SOCKET_FILE);
  return Buffer.byteLength(file) > SOCKET_PATH_BYTES_MAX ? undefined : file;
}

/** Rejects with a `SettingsError` when an agent runs from this folder already: two of one node would throw each other out. */
export async function refuseSecond(folder: string): Promise<void> {
  const file = socketFile(folder);
  if (file === undefined || !(await answers(file))) return;
  throw new SettingsError(
    `An agent runs from ${folder} already. Stop it first, or give this one a folder of its own.`,
  );
}

/** Opens both doors. Rejects as `refuseSecond` does; a port that is taken is only a warning in the log. */
export async function openControl(parts: ControlParts): Promise<Control> {
  const { folder, log } = parts;
  const token = tokenOf(folder, parts.randomness);
  const file = socketFile(folder);
  const servers: Server[] = [];
  let port: number | undefined;
  if (file === undefined) log.warn({ folder }, 'the path of the folder is too long for a socket file');
  else {
    await refuseSecond(folder);
    rmSync(file, { force: true });
    const server = createServer((request, response) => void serve(parts, request, response, undefined));
    await listening(server, { path: file });
    chmodSync(file, 0o600);
    servers.push(server);
  }
  if (parts.api) {
    const server = createServer((request, response) => void serve(parts, request, response, token));
    try {
      await listening(server, parts.api);
      port = (server.address() as { port: number }).port;
      servers.push(server);
      log.info({ host: parts.api.host, port }, 'the local interface listens');
    } catch (error) {
      // Its work does not depend on it: another program, perhaps the Swan agent, has the port.
      log.warn({ ...parts.api, why: (error as Error).message }, 'the local interface has no port');
    }
  }
  return {
    port,
    async close() {
      await Promise.all(
        servers.map((server) => {
          const closed = new Promise((resolve) => server.close(resolve));
          server.closeAllConnections();
          return closed;
        }),
      );
      if (file !== undefined) rmSync(file, { force: true });
    },
  };
}

function listening(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  server.headersTimeout = 10_000;
  server.requestTimeout = 10_000;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Whether somebody listens at a socket file. */
function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.on('connect', () => {
      resolve(true);
      socket.destroy();
    });
    socket.on('error', () => resolve(false));
  });
}

function tokenOf(folder: string, randomness: Randomness): string {
  const file = path.join(folder, TOKEN_FILE);
  try {
    const known = readFileSync(file, 'utf8').trim();
    if (/^[\w-]{32,}$/.test(known)) return known;
  } catch {
    // There is none yet.
  }
  const token = randomness.bytes(24).toString('base64url');
  replaceFile(file, `${token}\n`, randomness);
  return token;
}

/** An answer that is not the thing that was asked for. */
class Unserved extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function serve(
  parts: ControlParts,
  request: IncomingMessage,
  response: ServerResponse,
  token: string | undefined,
): Promise<void> {
  try {
    const [url = '/'] = (request.url ?? '/').split('?');
    if (token !== undefined && url !== '/health') admit(request, token);
    const answer = await answerTo(parts, `${request.method} ${url}`, () => bodyOf(request));
    const isText = typeof answer === 'string';
    response.writeHead(200, {
      'content-type': isText ? 'text/plain; version=0.0.4; charset=utf-8' : 'application/json',
      'cache-control': 'no-store',
    });
    response.end(isText ? answer : JSON.stringify(answer));
  } catch (error) {
    const known = error instanceof Unserved || error instanceof SettingsError;
    const status = error instanceof Unserved ? error.status : error instanceof SettingsError ? 400 : 500;
    if (!known) parts.log.error({ err: error }, 'the local interface met a bug');
    if (response.headersSent) return void response.destroy();
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify({ error: known ? error.message : 'Something went wrong here.' }));
  }
}

function admit(request: IncomingMessage, token: string): void {
  const shown = Buffer.from(/^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? '');
  const wanted = Buffer.from(token);
  if (shown.length !== wanted.length || !timingSafeEqual(shown, wanted))
    throw new Unserved(401, `Show the token of the file ${TOKEN_FILE} as a bearer.`);
}

const limitsSchema = z
  .strictObject({
    concurrency: z.number().int().min(1).max(4_096).optional(),
    requests_per_minute: z.number().int().min(1).max(1_000_000).nullable().optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'names no limit');

async function answerTo(
  parts: ControlParts,
  asked: string,
  body: () => Promise<unknown>,
): Promise<string | object> {
  const { agent } = parts;
  switch (asked) {
    case 'GET /health': {
      const { hubs, draining } = agent.state();
      return {
        status: draining ? 'draining' : hubs.every(({ registered }) => registered) ? 'ok' : 'connecting',
      };
    }
    case 'GET /status':
      return statusBody(agent.state(), { pid: parts.pid, wallMs: parts.clock.wallMs() });
    case 'GET /models':
      return { models: agent.state().models.map(modelBody) };
    case `GET ${SWAN_STATUS}`:
      return swanStatus(agent.state());
    case `GET ${SWAN_REQUESTS}`:
      return swanRequests(agent.latest());
    case 'GET /metrics':
      return metricsPage(agent.state());
    case 'PATCH /limits': {
      const change = limitsOf(await body());
      agent.limit(change);
      const { limits } = agent.state();
      return { concurrency: limits.concurrency, requests_per_minute: limits.requestsPerMinute ?? null };
    }
    case 'POST /reload':
      return await parts.reload();
    case 'POST /drain':
      parts.drain();
      return { status: 'draining' };
    default:
  }
  const model = /^PATCH \/models\/(.+)$/.exec(asked)?.[1];
  if (model === undefined) throw new Unserved(404, 'There is nothing at this address.');
  const id = decoded(model);
  if (!agent.limitModel(id, limitsOf(await body()))) throw new Unserved(404, `No ${id} is served here.`);
  return agent
    .state()
    .models.filter((each) => each.id === id)
    .map(modelBody)[0] as object;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Unserved(400, 'The address is not written as addresses are.');
  }
}

function limitsOf(body: unknown): { concurrency?: number; requestsPerMinute?: number | null } {
  const parsed = limitsSchema.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Unserved(400, `${issue?.path.join('.') || 'The body'}: ${issue?.message ?? 'not valid'}`);
  }
  const { concurrency, requests_per_minute: requestsPerMinute } = parsed.data;
  return {
    ...(concurrency !== undefined && { concurrency }),
    ...(requestsPerMinute !== undefined && { requestsPerMinute }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const piece of request as AsyncIterable<Buffer>) {
    text += piece.toString();
    if (text.length > BODY_BYTES_MAX) throw new Unserved(413, 'The body is too large.');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Unserved(400, 'The body is no JSON.');
  }
}
