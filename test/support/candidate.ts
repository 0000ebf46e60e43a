import { CHAT_ONLY } from '#domain/operation.ts';
import { newBreaker } from '#routing/breaker.ts';
import type { Breaker, Candidate, Need, ServiceRecord } from '#routing/candidate.ts';
import { newRecord } from '#routing/score.ts';

type Given = Partial<Omit<Candidate, 'breaker' | 'record'>> & {
  breaker?: Partial<Breaker>;
  record?: Partial<ServiceRecord>;
};

/** An idle, healthy agent of its own provider that has been here for an hour (at time 0), changed by what is given. */
export function candidate(name: string, given: Given = {}): Candidate {
  return {
    id: `${name}/model`,
    linkId: `link-${name}`,
    nodeId: `node-${name}`,
    providerId: `provider-${name}`,
    providerNames: [`provider-${name}`, name],
    mode: 'websocket',
    health: 'healthy',
    eligible: true,
    ineligibleBecause: undefined,
    behind: undefined,
    draining: false,
    inFlight: 0,
    linkInFlight: 0,
    capacity: 8,
    linkCapacity: 16,
    operations: CHAT_ONLY,
    maxRequestBytes: 1_000_000,
    vramGb: 24,
    quantization: null,
    parameters: null,
    version: null,
    region: null,
    dataPolicy: 'unstated',
    ask: null,
    connectedAtMs: -3_600_000,
    ...given,
    breaker: { ...newBreaker(), ...given.breaker },
    record: { ...newRecord(), ...given.record },
  };
}

export const smallNeed: Need = {
  modelId: 'model',
  operations: CHAT_ONLY,
  requestBytes: 1_000,
};
