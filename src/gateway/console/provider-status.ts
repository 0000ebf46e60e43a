import type { KeyAnswer, ProviderState } from '#domain/party.ts';
import type { ProviderStatusAnswer } from '#wire/console.ts';

/**
 * The call a Swan agent makes once before it dials (call 1 of its contract): the answer must be one flat object, whatever
 * its status, and an agent that does not find `api_key_valid: true` or finds `can_connect: false` gives up until a person
 * restarts it, so the second is true in every state but for a key that does not hold.
 */
export function providerStatus(
  rooms: {
    keys: { find(secret: string): KeyAnswer };
    providers: {
      find(id: string): { name: string; state: ProviderState; withheldUntil?: number } | undefined;
    };
    registry: { present(): Iterable<{ readonly providerId: string }> };
  },
  authorization: string | undefined,
): { status: number; body: ProviderStatusAnswer } {
  const secret = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  const key = secret === undefined ? 'unknown' : rooms.keys.find(secret);
  const provider =
    typeof key === 'object' && key.kind === 'provider' ? rooms.providers.find(key.ownerId) : undefined;
  if (typeof key === 'string' || !provider || provider.state === 'removed') {
    const message =
      key === 'expired' ? 'This provider key has expired.' : 'This provider key is not known or was revoked.';
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
        next_steps: ['Make a new provider key, or ask the operator of this marketplace for one (sk-prov-…).'],
        step: 1,
        total_steps: LABELS.length,
        step_label: LABELS[0],
        earnings_enabled: false,
      },
    };
  }
  let connected = false;
  for (const presence of rooms.registry.present()) connected ||= presence.providerId === key.ownerId;
  const { state, withheldUntil } = provider;
  // Whoever is not connected yet is at the second step, whatever the operator has decided meanwhile.
  const step = connected || state === 'suspended' ? STAGES[state].step : 2;
  return {
    status: 200,
    body: {
      provider_id: key.ownerId,
      name: provider.name,
      status: state,
      can_connect: true,
      api_key_valid: true,
      message: STAGES[state].message,
      ...(state === 'suspended' && { warning: 'No requests are routed to this provider.' }),
      ...(state === 'active' &&
        withheldUntil !== undefined && {
          warning: `A failure was found: no requests are routed here until ${new Date(withheldUntil).toISOString()}.`,
        }),
      next_steps: nextSteps(state, connected),
      step,
      total_steps: LABELS.length,
      step_label: LABELS[step - 1] as string,
      earnings_enabled: state === 'active',
    },
  };
}

/** What a provider in this state does next. */
export function nextSteps(state: ProviderState, connected: boolean): string[] {
  return connected ? [...STAGES[state].next] : ['Connect your agent.', ...STAGES[state].next];
}

const LABELS = ['Key generated', 'Connect', 'Deposit collateral', 'Approval', 'Active & earning'] as const;

const STAGES: Readonly<Record<ProviderState, { step: number; message: string; next: readonly string[] }>> = {
  pending: {
    step: 4,
    message: 'Waiting for you to ask for approval.',
    next: ['Ask for approval.'],
  },
  under_review: {
    step: 4,
    message: 'The operator is reviewing this provider.',
    next: ['Wait for the operator.'],
  },
  approved: {
    step: 4,
    message: 'Approved. The operator activates this provider.',
    next: ['Wait for activation.'],
  },
  activating: { step: 4, message: 'Activation is under way.', next: ['Keep your agent connected.'] },
  active: { step: 5, message: 'Active and earning.', next: [] },
  suspended: {
    step: 4,
    message: 'Suspended: no requests are routed here.',
    next: ['Contact the operator.'],
  },
  removed: { step: 1, message: 'Removed.', next: [] },
};
