import type { AgentState } from './run.ts';

/**
 * The agent's figures for Prometheus, in its text format 0.0.4. Labels are the model and the hub: as many series as are
 * configured, and no more. Counters start at zero with the process.
 */
export function metricsPage(state: AgentState): string {
  const lines: string[] = [];
  const family = (
    name: string,
    kind: 'counter' | 'gauge',
    help: string,
    samples: readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[],
  ): void => {
    lines.push(`# HELP cygnet_agent_${name} ${help}`, `# TYPE cygnet_agent_${name} ${kind}`);
    for (const [labels, value] of samples) lines.push(`cygnet_agent_${name}${labelled(labels)} ${value}`);
  };
  const models = (value: (model: AgentState['models'][number]) => number) =>
    state.models.map((model) => [{ model: model.id }, value(model)] as const);

  family('info', 'gauge', 'The version, always 1.', [[{ version: state.version }, 1]]);
  family('start_time_seconds', 'gauge', 'When it started, Unix seconds.', [[{}, state.startedAt / 1_000]]);
  family(
    'hub_registered',
    'gauge',
    '1 while the hub has this node registered.',
    state.hubs.map(({ url, registered }) => [{ hub: url }, Number(registered)]),
  );
  family('draining', 'gauge', '1 while it leaves.', [[{}, Number(state.draining)]]);
  family('concurrency_limit', 'gauge', 'Requests that may run at once, over all models.', [
    [{}, state.limits.concurrency],
  ]);
  family('model_up', 'gauge', '1 while the model may be sent work.', models(isUp));
  family(
    'model_concurrency_limit',
    'gauge',
    'Requests of a model that may run at once.',
    models((m) => m.concurrency),
  );
  family(
    'requests_in_flight',
    'gauge',
    'Requests running now.',
    models((model) => model.active),
  );
  family(
    'requests_waiting',
    'gauge',
    'Requests waiting for room.',
    models((model) => model.waiting),
  );
  family(
    'requests_total',
    'counter',
    'Requests that came.',
    models((model) => model.total),
  );
  family(
    'requests_failed_total',
    'counter',
    'Requests that ended with a status of 500 or more.',
    models((m) => m.failed),
  );
  family(
    'requests_refused_total',
    'counter',
    'Requests that found no room.',
    models((model) => model.refused),
  );
  family(
    'request_seconds_total',
    'counter',
    'Seconds of all requests together, waiting included.',
    models((m) => m.tookMs / 1_000),
  );
  family(
    'prompt_tokens_total',
    'counter',
    'Tokens read.',
    models((model) => model.tokensIn),
  );
  family(
    'completion_tokens_total',
    'counter',
    'Tokens made.',
    models((model) => model.tokensOut),
  );
  family(
    'gpu',
    'gauge',
    'Figures of the GPUs: percent, MiB, degrees Celsius, watts.',
    Object.entries(state.gpu).map(([figure, value]) => [{ figure }, value]),
  );
  return `${lines.join('\n')}\n`;
}

function isUp(model: AgentState['models'][number]): number {
  return Number(model.state === 'ready' || model.state === 'degraded');
}

function labelled(labels: Readonly<Record<string, string>>): string {
  const written = Object.entries(labels).map(
    ([name, value]) =>
      `${name}="${value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')}"`,
  );
  return written.length === 0 ? '' : `{${written.join(',')}}`;
}
