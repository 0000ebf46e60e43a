import { Pool } from 'undici';
import type { Sealed } from '#kit/sealed.ts';
import type { EndpointPlace, NetworkRules } from './endpoint-url.ts';
import { guardedConnector } from './guarded-connect.ts';

const CONNECT_MS = 5_000;
const HEADER_BYTES_MAX = 32_768;
/** A second net under the dispatcher's deadlines, by the machine's clock: a socket that is forgotten does not stay. */
const SILENCE_MS = 600_000;
/** Beside its attempts: checks, and answers that are over but for their last bytes. */
const SPARE_CONNECTIONS = 4;

/** The connections to one endpoint. No redirect is followed and no proxy of the environment is used. */
export interface Line {
  readonly pool: Pool;
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly key: Sealed<string> | undefined;
}

export function openLine(
  place: EndpointPlace,
  about: {
    key: Sealed<string> | undefined;
    capacity: number;
    rules: NetworkRules;
    /** How this market is named to those its requests pass. */
    marketName: string;
  },
): Line {
  const { key, marketName } = about;
  return {
    pool: new Pool(place.origin, {
      connections: about.capacity + SPARE_CONNECTIONS,
      pipelining: 1,
      connect: guardedConnector(about.rules, { timeoutMs: CONNECT_MS }),
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
    }),
    origin: place.origin,
    path: place.path,
    headers: {
      // What is not compressed cannot unpack to more than was sent.
      'accept-encoding': 'identity',
      'user-agent': 'cygnet',
      'cdn-loop': marketName,
      ...(key && { authorization: `Bearer ${key.open()}` }),
    },
    key,
  };
}
