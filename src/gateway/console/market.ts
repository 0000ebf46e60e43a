import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/**
 * Where things are at this market, for programs that know only its address: an agent's setup asks it for the hub instead of
 * guessing. What is public anyway, and the same for everybody.
 */
export function marketRoutes({
  facts,
  signUp,
  trial,
}: Pick<ConsoleRooms, 'facts' | 'signUp' | 'trial'>): Route[] {
  return [
    route('GET /api/v1/market', { access: 'public', errors: 'object' }, async () => ({
      version: facts.version,
      api_base: facts.publicUrl === undefined ? null : `${facts.publicUrl}/api/v1`,
      hub: { url: facts.hubUrl ?? null, port: facts.hubPort, tls: facts.hubTls },
      sign_up: signUp,
      trial: trial ? { chain_id: trial.chainId, rpc_url: trial.rpcUrl } : null,
    })),
  ];
}
