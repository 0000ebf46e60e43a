import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Sealed } from '#kit/sealed.ts';

/** Who is told of incidents on a game day: a webhook's receiver, which believes what is signed and nothing else. */
export interface NoticeReceiver {
  readonly url: string;
  /** What kinds of steps came with a good signature, in the order in which they came. */
  readonly told: readonly string[];
  /** How many came with a bad one. */
  readonly forged: () => number;
  close(): void;
}

export async function receiveNotices(secret: Sealed<string>): Promise<NoticeReceiver> {
  const told: string[] = [];
  let forged = 0;
  const server = createServer((incoming, answer) => {
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      const body = Buffer.concat(parts).toString();
      const [, unixS = '', sign = ''] =
        /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(incoming.headers['x-cygnet-signature'])) ?? [];
      const good = createHmac('sha256', secret.open()).update(`${unixS}.${body}`).digest('hex') === sign;
      if (good) told.push((JSON.parse(body) as { type: string }).type);
      else forged += 1;
      answer.writeHead(good ? 204 : 401).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    told,
    forged: () => forged,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
