import type { KeyRecord, ProviderState } from '#domain/party.ts';

/**
 * What an agent asks before it dials (contract Part 2.2, call 1): a flat object, never an envelope. An agent that reads
 * `api_key_valid: false` or `can_connect: false` gives up until a person restarts it, so the second is true in every
 * state but a key that does not hold.
 */
export function providerStatus(
  rooms: {
    keys: { find(secret: string): KeyRecord | 'unknown' | 'malformed' | 'revoked' };
    providers: { find(id: string): { name: string; state: ProviderState } | undefined };
  },
  authorization: string | undefined,
): { status: number; body: Record<string, unknown> } {
  const secret = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  const key = secret === undefined ? 'unknown' : rooms.keys.find(secret);
  const provider = typeof key === 'object' && key.kind === 'provider' ? rooms.providers.find(key.ownerId) : undefined;
  if (typeof key === 'string' || !provider || provider.state === 'removed') {
    const message = 'This provider key is not known or was revoked.';
    return {
      status: 401,
      body: {
        provider_id: '',
        name: '',
        status: 'unknown',
        can_connect: false,
        api_key_valid: false,
        message,
        error: message,
        next_steps: ['Ask the operator of this marketplace for a provider key (sk-prov-…).'],
        step: 1,
        total_steps: LABELS.length,
        step_label: LABELS[0],
        earnings_enabled: false,
      },
    };
  }
  const stage = STAGES[provider.state];
  return {
    status: 200,
    body: {
      provider_id: key.ownerId,
      name: provider.name,
      status: provider.state,
      can_connect: true,
      api_key_valid: true,
      message: stage.message,
      next_steps: stage.next,
      step: stage.step,
      total_steps: LABELS.length,
      step_label: LABELS[stage.step - 1],
      earnings_enabled: provider.state === 'active',
    },
  };
}

const LABELS = ['Key generated', 'Connected', 'Collateral', 'Approval', 'Active'];

const STAGES: Readonly<Record<ProviderState, { step: number; message: string; next: string[] }>> = {
  pending: { step: 2, message: 'Connected providers are approved by the operator.', next: ['Connect your agent.'] },
  under_review: { step: 4, message: 'The operator is reviewing this provider.', next: ['Wait for approval.'] },
  approved: { step: 3, message: 'Approved.', next: ['Deposit collateral.'] },
  activating: { step: 4, message: 'Activation is under way.', next: ['Keep your agent connected.'] },
  active: { step: 5, message: 'Active and earning.', next: [] },
  suspended: { step: 4, message: 'Suspended: no requests are routed here.', next: ['Contact the operator.'] },
  removed: { step: 1, message: 'Removed.', next: [] },
};
