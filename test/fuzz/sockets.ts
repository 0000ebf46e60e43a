import { connect } from 'node:net';
import type { Chance } from '../sim/chance.ts';
import { bent, broken, senseless, written } from './senseless.ts';
import { BODIES, CONSOLE } from './templates.ts';

/**
 * Connections that no client library would make: ambiguous, injected, mangled, cut short. Each is drawn from a seed as
 * bytes in pieces, with what may come back.
 */
export interface Attack {
  readonly kind: string;
  readonly port: 'gateway' | 'hub';
  readonly pieces: readonly Buffer[];
  /** Hang up after the last piece instead of waiting for the other side. */
  readonly leaves: boolean;
  /** What is ambiguous gets one answer at most, a refusal, and no second request is found in it. */
  readonly ambiguous: boolean;
}

const PATHS = {
  '/v1/chat/completions': BODIES.chat,
  '/v1/completions': BODIES.text,
  '/v1/embeddings': BODIES.embeddings,
  '/v1/images/generations': BODIES.images,
  '/v1/messages': BODIES.messages,
  '/v1/responses': BODIES.responses,
  '/v1/playground/chat': BODIES.chat,
  '/v1/audio/transcriptions': BODIES.chat,
  '/api/v1/user/login': CONSOLE,
  '/api/v1/user/me/keys': CONSOLE,
  '/api/v1/provider/me': CONSOLE,
} as const satisfies Record<string, readonly unknown[]>;
const PLAIN_PATHS = [
  '/health',
  '/v1/models',
  '/docs',
  '/openapi.json',
  '/v1/generation?id=req_1',
  '/api/v1/models',
] as const;
const TRICKS = [
  '//v1/chat/completions',
  '/v1/./chat/completions',
  '/v1/../v1/chat/completions',
  '/v1/%2e%2e/v1/models',
  '/v1/chat%2fcompletions',
  '/V1/CHAT/COMPLETIONS',
  '/v1/chat/completions/',
  '/v1/chat/completions;x=1',
  '/v1/chat/completions?x=%0d%0ax-injected:%201',
  '/v1/models/%0d%0ax-injected:%201',
  '/v1/models/%00',
  '/v1/models/%ff%fe',
  '/v1/models/%zz',
  '/v1/models/../../../etc/passwd',
  '/v1/models/' + 'a/'.repeat(500),
  '/api/v1/user/me/keys/%00',
  '/api/v1/models/__proto__/files',
  '/docs/../../package.json',
  'http://elsewhere.example/v1/models',
  'http://user:password@127.0.0.1/health',
  '*',
  '127.0.0.1:80',
  '/' + 'a'.repeat(9_000),
  '/\\..\\..\\etc',
  '?',
] as const;
const METHODS = [
  'GET',
  'HEAD',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PROPFIND',
  'post',
  'FOO',
  '',
] as const;
const HIDDEN = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const BODY = '{"model":"nobody/serves-this","messages":[{"role":"user","content":"x"}]}';

interface Doors {
  readonly key: string;
  readonly model: string;
}

/** The next attack. */
export function nextAttack(chance: Chance, doors: Doors): Attack {
  const kind = chance.weighted(KINDS);
  return { kind, port: 'gateway', leaves: false, ambiguous: false, ...ATTACKS[kind](chance, doors) };
}

const KINDS = {
  body: 10,
  ambiguous: 5,
  mangled: 5,
  path: 3,
  method: 2,
  header: 3,
  left: 3,
  pipelined: 2,
  hub: 3,
  form: 2,
};

function head(line: string, headers: readonly string[], key: string): string {
  return [line, 'Host: market', `Authorization: Bearer ${key}`, ...headers, '', ''].join('\r\n');
}

function post(chance: Chance, doors: Doors, more: readonly string[] = ['Connection: close']): Buffer {
  const path = chance.one(Object.keys(PATHS) as (keyof typeof PATHS)[]);
  const valid = chance.one<unknown>(PATHS[path]);
  const named = typeof valid === 'object' && chance.yes(0.5) ? { ...valid, model: doors.model } : valid;
  const body = written(
    chance,
    chance.yes(0.2) ? senseless(chance) : chance.yes(0.1) ? named : bent(chance, named),
  );
  const headers = ['Content-Type: application/json', `Content-Length: ${body.length}`, ...more];
  return Buffer.concat([Buffer.from(head(`POST ${path} HTTP/1.1`, headers, doors.key)), body]);
}

/** As one piece, or cut somewhere. */
function pieces(chance: Chance, bytes: Buffer): Buffer[] {
  if (bytes.length < 2 || chance.yes(0.5)) return [bytes];
  const at = chance.whole(1, bytes.length - 1);
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

const ATTACKS: Record<
  keyof typeof KINDS,
  (chance: Chance, doors: Doors) => Partial<Attack> & Pick<Attack, 'pieces'>
> = {
  body: (chance, doors) => ({ pieces: pieces(chance, post(chance, doors)) }),

  ambiguous: (chance, { key }) => {
    const line = 'POST /v1/chat/completions HTTP/1.1';
    const chunk = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;
    const length = `Content-Length: ${BODY.length}`;
    const [headers, body] = chance.one<[string[], string]>([
      [[length, 'Transfer-Encoding: chunked'], chunk + HIDDEN],
      [['Transfer-Encoding: chunked', length], `0\r\n\r\n${HIDDEN}`],
      [[length, 'Content-Length: 0'], BODY + HIDDEN],
      [[length, length], BODY + HIDDEN],
      [[`Content-Length: ${BODY.length}, 0`], BODY + HIDDEN],
      [['Content-Length: +5'], BODY + HIDDEN],
      [['Content-Length: 0x5'], BODY + HIDDEN],
      [['Content-Length: -1'], BODY + HIDDEN],
      [['Content-Length : 5'], BODY + HIDDEN],
      [['Transfer-Encoding: chunked, identity'], chunk + HIDDEN],
      [['Transfer-Encoding: xchunked'], chunk + HIDDEN],
      [['Transfer-Encoding : chunked'], chunk + HIDDEN],
      [['A: b\r\n Content-Length: 5'], BODY + HIDDEN],
      [['Transfer-Encoding:\r\n chunked'], chunk + HIDDEN],
      [['A: b\rContent-Length: 5'], BODY + HIDDEN],
      [['A: b\0c', length], BODY + HIDDEN],
      [['Transfer-Encoding: chunked'], `zz\r\n${HIDDEN}`],
      [['Transfer-Encoding: chunked'], `-1\r\n${HIDDEN}`],
      [['Transfer-Encoding: chunked'], `fffffffffffffffff\r\n${HIDDEN}`],
      [['Transfer-Encoding: chunked'], `1;${'a=b;'.repeat(8_000)}\r\nx\r\n0\r\n\r\n${HIDDEN}`],
      [['Transfer-Encoding: chunked'], `1\nx\n0\n\n${HIDDEN}`],
      [['Transfer-Encoding: chunked'], `1\r\nxy\r\n0\r\n\r\n${HIDDEN}`],
    ]);
    return { ambiguous: true, pieces: [Buffer.from(head(line, headers, key) + body, 'latin1')] };
  },

  mangled: (chance, doors) => ({
    pieces: pieces(chance, broken(chance, post(chance, doors))),
    leaves: chance.yes(0.7),
  }),

  path: (chance, { key }) => {
    const method = chance.one(['GET', 'POST', 'HEAD', 'DELETE']);
    const version = chance.one(['1.1', '1.1', '1.0', '2.0', '0.9']);
    return {
      pieces: [
        Buffer.from(
          head(`${method} ${chance.one(TRICKS)} HTTP/${version}`, ['Connection: close'], key),
          'latin1',
        ),
      ],
    };
  },

  method: (chance, { key }) => {
    const path = chance.one([...PLAIN_PATHS, ...Object.keys(PATHS)]);
    return {
      pieces: [Buffer.from(head(`${chance.one(METHODS)} ${path} HTTP/1.1`, ['Connection: close'], key))],
    };
  },

  header: (chance, doors) => {
    const more = chance.one<string[]>([
      [`A: ${'a'.repeat(65_536)}`],
      Array.from({ length: 3_000 }, (_, i) => `A${i}: b`),
      ['Expect: 100-continue', 'Connection: close'],
      ['Expect: a miracle', 'Connection: close'],
      ['Content-Encoding: gzip', 'Connection: close'],
      ['Content-Encoding: br, identity', 'Connection: close'],
      ['Connection: Upgrade, close', 'Upgrade: websocket', 'Sec-WebSocket-Key: x'],
      ['Connection: Upgrade, HTTP2-Settings, close', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
      ['X-Request-Id: a%0d%0ax-injected: 1', 'Connection: close'],
      ['X-Forwarded-For: \u00ff, 127.0.0.1', 'Forwarded: for=x', 'Connection: close'],
      ['Origin: null', 'Cookie: cygnet_session=\u00ff; cygnet_session', 'Connection: close'],
      ['X-Api-Key: \u00ff', 'Connection: close'],
      ['Authorization: Basic x', 'Connection: close'],
      ['Host: other', 'Connection: close'],
      ['Content-Type: application/json; charset=utf-16', 'Connection: close'],
      ['Content-Type: text/plain', 'Connection: close'],
      ['Accept-Encoding: gzip;q=1e999', 'Range: bytes=-1-', 'If-None-Match: *', 'Connection: close'],
    ]);
    return { pieces: pieces(chance, Buffer.from(post(chance, doors, more).toString('latin1'), 'latin1')) };
  },

  left: (chance, doors) => {
    const whole = post(chance, doors, []);
    return { pieces: [whole.subarray(0, chance.whole(1, whole.length))], leaves: true };
  },

  pipelined: (chance, doors) => {
    const many = Array.from({ length: chance.whole(2, 8) }, () => post(chance, doors, []));
    return { pieces: pieces(chance, Buffer.concat([...many, post(chance, doors)])) };
  },

  hub: (chance, { key }) => {
    const upgrade = head(
      'GET /ws HTTP/1.1',
      [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        `Sec-WebSocket-Key: ${'QUFB'.repeat(5)}QQ==`,
      ],
      key,
    );
    const frame = chance.one<Buffer>([
      Buffer.from([0x81, 0x02, 0x7b, 0x7d]),
      Buffer.from([0xf1, 0x80, 0, 0, 0, 0]),
      Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
      Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
      Buffer.from([0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0]),
      Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03]),
      Buffer.from([0x81, 0x83, 0, 0, 0, 0, 0xff, 0xfe, 0xfd]),
      Buffer.from([0x00, 0x80, 0, 0, 0, 0]),
      chance.source.bytes(chance.whole(1, 80)),
    ]);
    const bytes = Buffer.concat([Buffer.from(upgrade), frame]);
    return {
      port: 'hub',
      leaves: true,
      pieces: pieces(chance, chance.yes(0.4) ? broken(chance, bytes) : bytes),
    };
  },

  form: (chance, { key }) => {
    const part = chance.one([
      '--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsound',
      '--cut\r\nContent-Disposition: form-data\r\n\r\nx\r\n--cut--\r\n',
      '--cut\r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n'.repeat(3_000),
      `--cut\r\nContent-Disposition: form-data; name="${'x'.repeat(200_000)}`,
      '',
    ]);
    const body = chance.yes(0.3) ? broken(chance, Buffer.from(part)) : Buffer.from(part);
    const type = `Content-Type: multipart/form-data${chance.yes(0.9) ? '; boundary=cut' : ''}`;
    const headers = [type, `Content-Length: ${body.length}`, 'Connection: close'];
    const start = Buffer.from(head('POST /v1/audio/transcriptions HTTP/1.1', headers, key));
    return { pieces: pieces(chance, Buffer.concat([start, body])) };
  },
};

/** Carries an attack out; resolves with everything that came back, when the connection is over. */
export function carryOut(attack: Attack, ports: { gateway: number; hub: number }): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect({ port: ports[attack.port], host: '127.0.0.1', allowHalfOpen: false });
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      heard += text;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(heard));
    socket.on('connect', () => {
      const rest = [...attack.pieces];
      const next = (): void => {
        const piece = rest.shift();
        if (!piece) {
          // The other side sees the end of what we say, and answers what it can; or that we are gone.
          if (attack.leaves) socket.destroy();
          else socket.end();
          return;
        }
        socket.write(piece, () => setImmediate(next));
      };
      next();
    });
  });
}

/** The statuses of the answers in what came back. */
export function statusesIn(heard: string): number[] {
  return [...heard.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
}
