import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';

/**
 * The pages for people (`dashboard/`), as files. The build made every one of them, compressed too, so that here bytes are
 * only handed out of memory. They are answered last: an address that means something to programs never becomes a page,
 * and a program (which does not ask for `text/html`) never gets one.
 *
 * The policy of the pages allows nothing but files of this server: no script or style inside a document, nothing from
 * elsewhere, and no page of another site around them.
 */
export class Dashboard {
  readonly #page: Asset;
  readonly #assets: ReadonlyMap<string, Asset>;

  constructor(page: Asset, assets: ReadonlyMap<string, Asset>) {
    this.#page = page;
    this.#assets = assets;
  }

  /** Answers where there is something for this visitor; false where there is not. */
  answer(request: FastifyRequest, reply: FastifyReply): boolean {
    if (request.method !== 'GET' && request.method !== 'HEAD') return false;
    const address = request.url.split('?', 1)[0] ?? '';
    const asset = this.#assets.get(address);
    if (asset) {
      // Its name changes with what is in it.
      reply.header('cache-control', 'public, max-age=31536000, immutable');
      hand(asset, request, reply);
      return true;
    }
    if (!wantsPage(request) || FOR_PROGRAMS.test(address)) return false;
    reply.headers(PAGE_HEADERS).code(PAGES.test(address) ? 200 : 404);
    hand(this.#page, request, reply);
    return true;
  }
}

/** The pages as the build left them in `folder`; undefined where nothing was built. */
export function openDashboard(folder: string): Dashboard | undefined {
  if (!existsSync(path.join(folder, 'index.html'))) return undefined;
  const assets = new Map<string, Asset>();
  for (const name of readdirSync(path.join(folder, 'assets')))
    if (!/\.(?:br|gz)$/.test(name))
      assets.set(`/assets/${name}`, readAsset(path.join(folder, 'assets', name)));
  return new Dashboard(readAsset(path.join(folder, 'index.html')), assets);
}

interface Asset {
  readonly type: string;
  readonly etag: string;
  readonly plain: Buffer;
  readonly br: Buffer | undefined;
  readonly gzip: Buffer | undefined;
}

function readAsset(file: string): Asset {
  const plain = readFileSync(file);
  const beside = (ending: string): Buffer | undefined =>
    existsSync(`${file}.${ending}`) ? readFileSync(`${file}.${ending}`) : undefined;
  return {
    type: TYPES[path.extname(file)] ?? 'application/octet-stream',
    etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 20)}"`,
    plain,
    br: beside('br'),
    gzip: beside('gz'),
  };
}

function hand(asset: Asset, request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({ etag: asset.etag, vary: 'accept, accept-encoding', 'x-content-type-options': 'nosniff' });
  if (request.headers['if-none-match'] === asset.etag && reply.statusCode === 200)
    return void reply.code(304).send();
  const accepted = request.headers['accept-encoding'] ?? '';
  const encoding =
    asset.br && /\bbr\b/.test(accepted) ? 'br' : asset.gzip && /\bgzip\b/.test(accepted) && 'gzip';
  if (encoding) reply.header('content-encoding', encoding);
  void reply.type(asset.type).send(encoding ? asset[encoding] : asset.plain);
}

/** Browsers ask for `text/html` when a person goes somewhere; programs and scripts do not. */
export function wantsPage(request: Pick<FastifyRequest, 'headers'>): boolean {
  return request.headers.accept?.includes('text/html') ?? false;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/** The first words of the addresses that have a page; at any other the page says that there is none, with status 404. */
const PAGES =
  /^\/(?:(?:models|pricing|playground|leaderboard|network|uptime|sign-in|sign-up|account|provider|operator|parts)(?:\/.*)?)?$/;
/** What begins like this is answered as the API answers, also to a person who types it. */
const FOR_PROGRAMS = /^\/(?:v1|api|assets)(?:\/|$)/;

const PAGE_HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'same-origin',
};
