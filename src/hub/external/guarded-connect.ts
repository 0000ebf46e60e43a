import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import { plainAddress } from '#kit/address-list.ts';
import { addressOf, type NetworkRules } from './endpoint-url.ts';

/** Every address of a name, in the system's order. */
export async function systemResolve(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

/** A connection that the rules forbid. Its message is ours and may be told to the endpoint's owner. */
export class NotReachable extends Error {
  override name = 'NotReachable';
}

/**
 * Opens sockets for one endpoint: resolves, judges, and connects to exactly the address that was judged, so that a name
 * which answers differently the second time (DNS rebinding) gains nothing. TLS still asks for the name, and checks it.
 * It is called for every new socket, also where the pool reconnects by itself.
 */
export function guardedConnector(
  rules: NetworkRules,
  options: { timeoutMs: number },
): buildConnector.connector {
  const connect = buildConnector({ timeout: options.timeoutMs, allowH2: false });
  return (target, callback) => void open(connect, rules, target, callback);
}

async function open(
  connect: buildConnector.connector,
  rules: NetworkRules,
  target: buildConnector.Options,
  callback: buildConnector.Callback,
): Promise<void> {
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const protocol = target.protocol === 'https:' ? 'https:' : 'http:';
  const port = Number(target.port) || (protocol === 'https:' ? 443 : 80);
  const found = await addressOf({ host, protocol, port }, rules);
  if ('refusal' in found) return callback(new NotReachable(found.refusal), null);
  const named = isIP(host) === 0;
  connect(
    { ...target, hostname: found.address, ...(named && { servername: target.servername || host }) },
    (...[error, socket]) => {
      if (error) return callback(error, null);
      // What the system did with the address must be what was judged.
      if (plainAddress(socket.remoteAddress ?? '') !== plainAddress(found.address)) {
        socket.destroy();
        return callback(new NotReachable('The connection went elsewhere.'), null);
      }
      callback(null, socket);
    },
  );
}
