import { formatUsd } from '#domain/money.ts';
import type { Impact } from './impact.ts';
import type { Incident, TimelineStep } from './incident-book.ts';

/** How long after its end an incident's post-mortem is due. */
const DUE_MS = 48 * 3_600_000;

/** When the post-mortem is due; undefined while the incident is open or once it is published. */
export function postMortemDue(incident: Incident, steps: readonly TimelineStep[]): number | undefined {
  const published = steps.some(
    ({ incidentId, kind }) => incidentId === incident.id && kind === 'post-mortem',
  );
  return incident.resolvedMs === null || published ? undefined : incident.resolvedMs + DUE_MS;
}

/**
 * A draft in Markdown: everything that was measured and written down is filled in, and what only people know is asked for.
 * Pure; the same incident gives the same draft.
 */
export function draftPostMortem(about: {
  incident: Incident;
  steps: readonly TimelineStep[];
  impact: Impact;
}): string {
  const { incident, steps, impact } = about;
  const where = [incident.modelId === '' ? 'the whole market' : incident.modelId, incident.region].filter(
    Boolean,
  );
  const end = incident.resolvedMs;
  const { budget, consumers } = impact;
  const credits = consumers.reduce((sum, { credit = 0n }) => sum + credit, 0n);
  const due = end === null ? 'when it is over' : `by ${moment(end + DUE_MS)}`;
  return `# ${incident.worst} incident: ${where.join(', ')}

${incident.id} · draft · due ${due} (UTC)

## Impact

| | |
| --- | --- |
| Began | ${moment(incident.openedMs)} |
| Ended | ${end === null ? 'still open' : moment(end)} |
| Duration | ${duration((end ?? steps.at(-1)?.atMs ?? incident.openedMs) - incident.openedMs)} |
| Reasons | ${incident.triggers.join(', ') || 'opened by hand'} |
| Requests | ${impact.requests} |
| Failed | ${impact.failures}${impact.requests === 0 ? '' : ` (${((impact.failures * 100) / impact.requests).toFixed(2)} %)`} |
| Unavailable minutes | ${impact.unavailableMinutes} |
| Error budget of the month | ${budget.spent} of ${budget.allowed.toFixed(1)} minutes spent (${((budget.spent * 100) / budget.allowed).toFixed(0)} %) |
| Affected consumers | ${consumers.length} |
| Credits due, if the rest of the month is good | ${formatUsd(credits)} |

${consumerTable(impact)}
## Timeline

${steps.map(({ atMs, kind, actor, words }) => `- ${moment(atMs)} **${kind}** (${actor}) ${words.replaceAll(/\s+/g, ' ')}`).join('\n')}

## Root cause

_What broke, and why it could._

## What went well, what did not

_How it was noticed, how long that took, what helped and what was in the way._

## What we change

_Each with a name and a day._
`;
}

function consumerTable({ consumers }: Impact): string {
  if (consumers.length === 0) return '';
  const rows = consumers.map(
    ({ id, tier, requests, failures, credit }) =>
      `| ${id} | ${tier} | ${requests} | ${failures} | ${credit === undefined ? '–' : formatUsd(credit)} |`,
  );
  return `| Consumer | Tier | Requests | Failed | Credit |
| --- | --- | ---: | ---: | ---: |
${rows.join('\n')}

`;
}

function duration(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000));
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function moment(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}
