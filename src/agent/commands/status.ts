import { askAgent } from '../control-client.ts';
import type { AgentEnv } from '../env.ts';
import type { ProviderStats, Standing } from '../market.ts';
import { folderOf } from '../settings.ts';
import type { StatusBody } from '../status-body.ts';
import { type AccessOptions, withMarket } from './access.ts';
import { type Answer, duration, plainLine, table, usd } from './print.ts';

/** `cygnet agent status`: how the agent of this folder is, and where the provider stands at the market. */
export async function status(options: AccessOptions, env: AgentEnv): Promise<Answer> {
  const folder = folderOf(options, env);
  const agent = await askAgent<StatusBody>(folder, 'GET', '/status');
  const market = await standing(options, env);
  return {
    value: { folder, agent: agent ?? null, market },
    lines: [...agentLines(agent, folder), '', ...marketLines(market)],
  };
}

/** `cygnet agent status --alive`, for whoever only watches: whether the agent runs and every hub has it registered. */
export async function alive(options: AccessOptions, env: AgentEnv): Promise<Answer & { exitCode: number }> {
  const agent = await askAgent<StatusBody>(folderOf(options, env), 'GET', '/status');
  const word = !agent
    ? 'not running'
    : agent.draining
      ? 'leaving'
      : agent.connected
        ? 'registered'
        : 'connecting';
  return {
    value: { alive: word === 'registered', state: word },
    lines: [word],
    exitCode: Number(word !== 'registered'),
  };
}

type MarketSays =
  | { url: string; standing: Standing; stats: ProviderStats | null }
  | { url: null; problem: string };

async function standing(options: AccessOptions, env: AgentEnv): Promise<MarketSays> {
  try {
    return await withMarket(options, env, async ({ market, key }) => {
      const says = await market.standing(key);
      const stats = says.api_key_valid ? await market.stats(key).catch(() => null) : null;
      return { url: market.url, standing: says, stats };
    });
  } catch (error) {
    return { url: null, problem: (error as Error).message };
  }
}

function agentLines(agent: StatusBody | undefined, folder: string): string[] {
  if (!agent) return [`No agent runs from ${folder}. Start one with: cygnet agent run`];
  return [
    `The agent ${agent.node_name ?? agent.node_id.slice(0, 12)} (${agent.version}, process ${agent.pid}) is up ${duration(agent.uptime_s)}${agent.draining ? ' and leaving' : ''}.`,
    ...agent.hubs.map(({ url, registered, refusal }) =>
      registered
        ? `Registered with ${url}.`
        : `Not registered with ${url}: ${refusal === null ? 'it goes on trying.' : plainLine(refusal)}`,
    ),
    '',
    ...modelLines(agent),
  ];
}

/** The models of a running agent, for people. */
export function modelLines({ models, limits }: StatusBody): string[] {
  const perMinute = (value: number | null) => (value === null ? 'no limit' : String(value));
  return [
    ...table(
      ['MODEL', 'STATE', '>RUNNING', '>WAITING', '>A MINUTE', '>REQUESTS', '>FAILED', '>TOKENS OUT', 'FROM'],
      models.map((model) => [
        model.id,
        model.state,
        `${model.active}/${model.concurrency}`,
        String(model.waiting),
        perMinute(model.requests_per_minute),
        String(model.total),
        String(model.failed),
        String(model.tokens_out),
        model.source,
      ]),
    ),
    ...models.flatMap(({ id, reasons }) => reasons.map((reason) => `${id}: ${reason}`)),
    `All together: ${limits.concurrency} at once, ${perMinute(limits.requests_per_minute)} a minute.`,
  ];
}

function marketLines(market: MarketSays): string[] {
  if (market.url === null) return [market.problem];
  const { standing: says, stats } = market;
  const step =
    says.step === undefined ? '' : ` (step ${says.step} of ${says.total_steps}: ${says.step_label})`;
  return [
    `At ${market.url}: ${plainLine(says.message ?? says.status ?? 'no word')}${step}`,
    ...(says.warning === undefined ? [] : [plainLine(says.warning)]),
    ...(says.next_steps ?? []).map((each) => `Next: ${plainLine(each)}`),
    ...(stats
      ? [`Earned ${usd(stats.total_earnings_usdc)} with ${stats.total_inferences ?? 0} requests since ever.`]
      : []),
  ];
}
