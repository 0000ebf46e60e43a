import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import { type GameDay, gameDay } from './game-day.ts';
import { WrongUsage } from './refusal.ts';
import { table, writeReport } from './report.ts';
import { askedToStop } from './running.ts';

/** `cygnet demo gameday`: needs nothing and leaves nothing behind. Ends with 1 when something was not as it should be. */
export function gameDayCommand(command: Command): void {
  command
    .command('gameday')
    .description(
      'stage the loss of a provider, a slow pool and a bad version, and watch what the market does',
    )
    .option('--speed <n>', 'how many times as fast as time passes the day is played, from 10 to 200', '100')
    .action(async ({ speed: text }: { speed: string }, self: Command) => {
      const speed = /^\d{2,3}$/.test(text) ? Number(text) : 0;
      if (speed < 10 || speed > 200) throw new WrongUsage('--speed is a number from 10 to 200.');
      const { json } = self.optsWithGlobals<{ json?: boolean }>();
      const say = (sentence: string): void => void process.stderr.write(`${sentence}\n`);
      say(`The day passes ${speed} times as fast; how long answers take is real.`);
      const day = await gameDay({ speed, say, stop: askedToStop() });
      if (day.problems.length > 0) process.exitCode = 1;
      writeReport({ value: day, lines: linesOf(day) }, json ?? false);
    });
}

function linesOf(day: GameDay): string[] {
  const { cases, status, notices, problems, outage, postMortem, credits } = day;
  return [
    '',
    ...table(
      ['case', '>incident after', '>acted on after', '>served again after', '>over after'],
      Object.entries(cases).map(([name, { openedS, actedS, servedS, overS }]) => [
        name,
        `${openedS} s`,
        `${actedS} s`,
        `${servedS} s`,
        `${overS} s`,
      ]),
    ),
    '',
    ...table(
      ['while nobody was left', '>asked', '>failed', '>by the smaller model'],
      Object.entries(outage).map(([tier, { asked, failed, byStandIn }]) => [
        tier,
        `${asked}`,
        `${failed}`,
        `${byStandIn}`,
      ]),
    ),
    '',
    `Told: ${notices.told.length} signed webhooks, ${notices.mails} files of mail.`,
    '',
    'The post-mortem of the loss, as it is drafted:',
    ...postMortem
      .trimEnd()
      .split('\n')
      .map((line) => (line === '' ? '' : `  ${line}`)),
    '',
    'The status page says:',
    ...status.components
      .filter(({ region }) => region === '')
      .map(
        ({ name, state, providers, availability_90d: share }) =>
          `  ${name}: ${state}, ${providers} providers, ${share === null ? 'nothing asked' : `${(share * 100).toFixed(2)} % of requests answered`}`,
      ),
    ...status.incidents.map(
      ({ opened_at, resolved_at, worst, because }) =>
        `  ${opened_at.slice(11, 16)} to ${resolved_at?.slice(11, 16) ?? 'now'}, ${worst}: ${because}`,
    ),
    '',
    'The month is closed. What the agreement comes to, and what it comes to by the consumers’ own notes:',
    ...table(
      ['  consumer', '>down by hand', '>as reported', '>fee', '>credit by hand', '>booked'],
      credits.map(({ tier, byHand, booked }) => [
        `  ${tier}`,
        `${byHand.minutes} min`,
        `${booked.minutes} min`,
        formatUsd(booked.fee),
        formatUsd(byHand.credit),
        formatUsd(booked.credit),
      ]),
    ),
    '',
    ...(problems.length === 0
      ? ['Everything was as it should be.']
      : ['This was NOT as it should be:', ...problems]),
  ];
}
