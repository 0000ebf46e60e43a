import { type LifeTerms, NO_BENCHMARK } from '#domain/lifecycle.ts';
import type { KeyAnswer, ProviderState } from '#domain/party.ts';
import { SERVER_SILENT } from '#hub/registry.ts';
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
      find(
        id: string,
      ): { name: string; state: ProviderState; reason?: string; withheldUntil?: number } | undefined;
    };
    registry: { everywhere(): Iterable<Present> };
    /** What a benchmark says against a node; asked where the market demands one. */
    standings: { against(nodeId: string, modelId: string): string | undefined };
    life: LifeTerms;
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
  const present = [...rooms.registry.everywhere()].filter(({ providerId }) => providerId === key.ownerId);
  const connected = present.length > 0;
  const { state, reason = '', withheldUntil } = provider;
  const warnings = state === 'suspended' ? ['No requests are routed to this provider.'] : [];
  if (state === 'active' && withheldUntil !== undefined) {
    const until = new Date(withheldUntil).toISOString();
    warnings.push(`A failure was found: no requests are routed here until ${until}.`);
  }
  warnings.push(...silent(present));
  if (rooms.life.demandsBenchmark) warnings.push(...withheld(present, rooms.standings));
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
      message: reason === '' ? STAGES[state].message : `${STAGES[state].message} ${reason}`,
      ...(warnings.length > 0 && { warning: warnings.join(' ') }),
      next_steps: nextSteps(state, connected, { reason, life: rooms.life }),
      step,
      total_steps: LABELS.length,
      step_label: LABELS[step - 1] as string,
      earnings_enabled: state === 'active',
    },
  };
}

/** What a provider in this state does next. */
export function nextSteps(
  state: ProviderState,
  connected: boolean,
  about?: { reason: string; life: LifeTerms },
): string[] {
  const next = (about && nextOf(state, about)) ?? STAGES[state].next;
  return connected ? [...next] : ['Connect your agent.', ...next];
}

/** The next steps that depend on what the market demands. */
function nextOf(
  state: ProviderState,
  { reason, life }: { reason: string; life: LifeTerms },
): readonly string[] | undefined {
  if (state === 'approved' && life.demandsCollateral) return ['Deposit collateral.'];
  if (state === 'activating' && life.demandsBenchmark) {
    return ['Keep your agent connected: its benchmark comes by itself.'];
  }
  if (state === 'suspended' && reason === NO_BENCHMARK) {
    return [
      'Look at what the benchmark found: GET /api/v1/provider/benchmarks.',
      'Mend it and keep your agent connected: the next benchmark comes by itself, and a pass ends the suspension.',
    ];
  }
  return undefined;
}

interface Present {
  readonly providerId: string;
  readonly nodeId: string;
  readonly mode: 'websocket' | 'external';
  readonly serving: ReadonlyMap<string, unknown>;
  readonly ill: readonly string[];
}

const WITHHELD_SHOWN_MAX = 5;

/** The models that an agent, or a check of ours, finds unhealthy, in sentences. */
function silent(present: readonly Present[]): string[] {
  return present
    .flatMap(({ nodeId, ill }) =>
      ill.map((name) => `${name} on node ${nodeId.slice(0, 12)}: ${SERVER_SILENT}.`),
    )
    .slice(0, WITHHELD_SHOWN_MAX);
}

/** What of the models that are served now gets no requests for want of a benchmark, in sentences. */
function withheld(
  present: readonly Present[],
  standings: { against(nodeId: string, modelId: string): string | undefined },
): string[] {
  const found: string[] = [];
  for (const { nodeId, mode, serving } of present) {
    if (mode === 'external') continue;
    for (const modelId of serving.keys()) {
      const because = standings.against(nodeId, modelId);
      if (because !== undefined) found.push(`${modelId} on node ${nodeId.slice(0, 12)}: ${because}.`);
      if (found.length === WITHHELD_SHOWN_MAX) return found;
    }
  }
  return found;
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
