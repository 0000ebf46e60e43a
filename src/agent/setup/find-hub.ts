import type { SecureContextOptions } from 'node:tls';
import { WebSocket } from 'ws';
import { socketUrl } from '../connection.ts';

/**
 * Where the hub of a market listens, for who knows only the market's address. A Cygnet market says it (`GET /api/v1/market`);
 * the Swan protocol has no word for it, so else the places where it is by custom are tried, by an upgrade that is hung up at
 * once: only a hub grants one.
 */
const TRY_MS = 3_000;
const USUAL_PORT = 8_081;

/** The places, the likeliest first. `port` is the hub's where the market names one. */
export function hubPlaces(marketUrl: string, port = USUAL_PORT): string[] {
  const market = new URL(marketUrl);
  const scheme = market.protocol === 'https:' ? 'wss' : 'ws';
  const host = market.hostname;
  const places = [`${scheme}://${host}:${port}`];
  // A name of its own beside the market's, as behind a proxy: market.example.org → hub.example.org.
  const domain = host.split('.').slice(1).join('.');
  if (/[a-z]/i.test(host) && domain.includes('.'))
    places.push(`${scheme}://hub.${domain}`, `${scheme}://ws.${domain}`);
  if (domain !== '' && /[a-z]/i.test(host)) places.push(`${scheme}://hub.${host}`);
  places.push(`${scheme}://${market.host}`);
  return places;
}

/** The first place where a hub answers; undefined when none does. */
export async function findHub(places: readonly string[]): Promise<string | undefined> {
  const answers = await Promise.all(places.map((place) => answersAsHub(place)));
  return places.find((_, index) => answers[index] === undefined);
}

/** Undefined where a hub grants an upgrade, and otherwise why none was had. Never rejects. */
export function answersAsHub(hubUrl: string, tls: SecureContextOptions = {}): Promise<string | undefined> {
  return new Promise((resolve) => {
    let socket: WebSocket;
    try {
      socket = new WebSocket(socketUrl(hubUrl), {
        ...tls,
        handshakeTimeout: TRY_MS,
        perMessageDeflate: false,
        followRedirects: false,
      });
    } catch (error) {
      resolve((error as Error).message);
      return;
    }
    socket.on('open', () => {
      resolve(undefined);
      socket.terminate();
    });
    socket.on('error', (error) => {
      const { code, message } = error as { code?: string; message: string };
      resolve(code ?? message);
    });
  });
}
