import type { ExternalEndpoint } from '#domain/external-endpoint.ts';
import type { Logger } from '#kit/log.ts';

/** What the fleet writes into the log: constant sentences, no URL, no key, no word of an endpoint. */

export function endpointMoved(
  log: Logger,
  endpointId: string,
  how: 'added' | 'changed' | 'repriced' | 'removed',
): void {
  log.info(
    { event: 'endpoint-moved', endpointId, how },
    'An external endpoint was added, changed or removed.',
  );
}

export function endpointHealth(
  log: Logger,
  { id, providerId }: Pick<ExternalEndpoint, 'id' | 'providerId'>,
  about: { health: string; because: string | undefined },
): void {
  log.info(
    { event: 'endpoint-health', endpointId: id, providerId, ...about },
    'The health of an external endpoint changed.',
  );
}
