import type { AgentEnv } from '../env.ts';
import type { Appeals } from '../market.ts';
import { SettingsError } from '../settings.ts';
import { type AccessOptions, withMarket } from './access.ts';
import { type Answer, plainLine, table } from './print.ts';

const REASON_CHARS_MAX = 1_000;

/**
 * `cygnet agent appeal`: without anything, what was appealed against and what may be; with a run or a finding and a reason,
 * asks the operator to look at it again.
 */
export async function appeal(
  about: string | undefined,
  options: AccessOptions & { reason?: string | undefined },
  env: AgentEnv,
): Promise<Answer> {
  const reason = options.reason?.trim() ?? '';
  if (about === undefined && reason !== '') throw new SettingsError('Against what? Name a run or a finding.');
  if (about !== undefined && (reason === '' || reason.length > REASON_CHARS_MAX))
    throw new SettingsError(`Say why: --reason "…", at most ${REASON_CHARS_MAX} characters.`);
  return await withMarket(options, env, async ({ market, key }) => {
    if (about === undefined) {
      const appeals = await market.appeals(key);
      return { value: appeals, lines: listLines(appeals) };
    }
    const asked = await market.askAppeal(key, about, reason);
    const word =
      asked.state === 'asked'
        ? 'The operator decides; `cygnet agent appeal` shows what.'
        : `It was ${plainLine(asked.state)}: ${plainLine(asked.decided_because ?? '')}`;
    return {
      value: asked,
      lines: [`${asked.known ? 'You asked for this before' : 'The appeal is asked for'}. ${word}`],
    };
  });
}

function listLines({ appeals, may_appeal: open }: Appeals): string[] {
  const against = (kind: string): string =>
    ({ slash: 'a slash', 'service-level': 'a charge' })[kind] ?? 'a benchmark';
  const day = (at: string): string => plainLine(at).slice(0, 16).replace('T', ' ');
  return [
    ...(appeals.length === 0
      ? ['Nothing was appealed against.']
      : table(
          ['ABOUT', 'AGAINST', 'ASKED (UTC)', 'STATE', 'THE OPERATOR SAYS'],
          appeals.map((each) => [
            plainLine(each.about),
            against(each.kind),
            day(each.asked_at),
            plainLine(each.state),
            plainLine(each.decided_because ?? ''),
          ]),
        )),
    ...(open.length === 0
      ? []
      : [
          '',
          'You may appeal against:',
          ...table(
            ['ABOUT', 'AGAINST', 'WHEN (UTC)', 'WHAT WAS FOUND'],
            open.map((each) => [
              plainLine(each.about),
              against(each.kind),
              day(each.at),
              plainLine(each.found.join(' ')),
            ]),
          ),
          'cygnet agent appeal <about> --reason "what went wrong"',
        ]),
  ];
}
