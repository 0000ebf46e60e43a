import type { CorrectionRecord, JournalRecord, UsageRecord } from '#domain/usage-record.ts';

/** A usage record like many, with what matters to a test put in. */
export function usageRecord(about: Partial<UsageRecord> = {}): UsageRecord {
  return {
    id: 'req_1',
    at: Date.UTC(2026, 10, 20),
    consumerId: 'con_1',
    keyId: 'key_1',
    modelId: 'cygnet/cygnet-nano',
    operation: 'chat/completions',
    providerId: 'prov_1',
    nodeId: 'node_1',
    attemptId: 'att_1',
    mode: 'websocket',
    streamed: true,
    outcome: 'completed',
    errorCode: null,
    inputTokens: 10,
    outputTokens: 20,
    units: 0,
    seconds: 0,
    claimedInputTokens: 10,
    claimedOutputTokens: 20,
    events: 21,
    bytes: 2048,
    attempts: 1,
    ttftMs: 12.5,
    totalMs: 340.25,
    priceId: 'price_1',
    policy: 'standard-1',
    charge: 100n,
    ...about,
  };
}

/** A correction like many. */
export function correctionRecord(about: Partial<CorrectionRecord> = {}): CorrectionRecord {
  const requestId = about.requestId ?? 'req_1';
  return {
    id: `fix_${requestId}`,
    at: Date.UTC(2026, 10, 20, 1),
    requestId,
    consumerId: 'con_1',
    providerId: 'prov_1',
    policy: 'standard-1',
    inputTokens: 10,
    outputTokens: 15,
    refund: 10n,
    originalCharge: 100n,
    ...about,
  };
}

export function usageOf(about: Partial<UsageRecord> = {}): JournalRecord {
  return { kind: 'usage', record: usageRecord(about) };
}

export function correctionOf(about: Partial<CorrectionRecord> = {}): JournalRecord {
  return { kind: 'correction', record: correctionRecord(about) };
}
