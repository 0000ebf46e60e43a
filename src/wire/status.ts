import { z } from 'zod';

/** What `/status.json` says. Public: nothing of a consumer, and of providers only how many there are. */
const severity = z.enum(['minor', 'major', 'critical']);
const share = z.number().nullable();
const milliseconds = z.number().nullable();

export const statusSchema = z
  .object({
    at: z.string(),
    state: z
      .enum(['operational', 'degraded', 'outage', 'maintenance', 'unserved'])
      .describe(
        'Of the worst component that is not under maintenance. A model that answered within a week and has no provider now counts as impaired; where that is all of them, it is an outage. Unserved: no model has a provider, and none had lately.',
      ),
    changes_frozen: z
      .boolean()
      .describe('An error budget burns, an incident is severe, or an operator said so: changes wait.'),
    components: z.array(
      z.object({
        model: z.string(),
        name: z.string(),
        region: z.string().describe('Empty: everywhere.'),
        state: z.enum(['operational', 'degraded', 'outage', 'maintenance', 'unserved']),
        providers: z.int().describe('Who could serve it now.'),
        availability_90d: share.describe(
          'The share of requests that our side did not fail; null: nothing was asked.',
        ),
        minutes_90d: z
          .object({ measured: z.int(), unavailable: z.int(), availability: share })
          .describe(
            'By one-minute intervals, as agreements count: a minute is unavailable when more than 5 % of its requests failed, or every probe where nobody asked. Of minutes that somebody measured.',
          ),
        days: z.array(
          z.object({
            day: z.string(),
            requests: z.int(),
            failures: z.int(),
            probes: z.int(),
            probe_failures: z.int(),
            availability: share,
            minutes: z.int().describe('Measured by a request or a probe.'),
            minutes_unavailable: z.int(),
          }),
        ),
        last_24h: z
          .object({
            ttft_p50_ms: milliseconds,
            ttft_p95_ms: milliseconds,
            ttlt_256_p95_ms: milliseconds,
            server_errors: share,
            too_many_requests: share,
            tokens_per_second: z.number().nullable(),
            ttft_p95_ms_by_hour: z.array(milliseconds).describe('Oldest first.'),
          })
          .nullable()
          .describe('Null where nothing was asked.'),
      }),
    ),
    incidents: z.array(
      z.object({
        id: z.string(),
        model: z.string().describe('Empty: the whole market.'),
        region: z.string(),
        severity: severity.describe('Now, or at its end.'),
        worst: severity,
        opened_at: z.string(),
        resolved_at: z.string().nullable(),
        because: z.string(),
        steps: z.array(z.object({ at: z.string(), kind: z.string(), words: z.string() })),
      }),
    ),
    maintenance: z.array(
      z.object({
        id: z.string(),
        model: z.string(),
        words: z.string(),
        announced_at: z.string(),
        from: z.string(),
        until: z.string(),
      }),
    ),
  })
  .meta({ id: 'Status' });

export type StatusBody = z.output<typeof statusSchema>;
