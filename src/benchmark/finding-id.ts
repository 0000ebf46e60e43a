/** What a failed run is called as a finding against a pledge: so it takes from one once, whoever acts on it. */
const PREFIX = 'benchmark:';

export function findingOf(runId: string): string {
  return `${PREFIX}${runId}`;
}

/** The run that a finding stands for; undefined for one that is no benchmark's. */
export function runOfFinding(findingId: string): string | undefined {
  return findingId.startsWith(PREFIX) ? findingId.slice(PREFIX.length) : undefined;
}
