import { createHash } from 'node:crypto';
import type { SlaReportBody } from '#wire/sla.ts';
import { escaped } from './markup.ts';

/**
 * A service level report as a page for its consumer: no script, nothing asked of anybody, which its headers forbid too.
 */
export function slaPage(report: SlaReportBody): string {
  const { terms } = report;
  const final = report.state === 'final';
  const met = report.basis_points === 0;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Service level ${report.month}</title>
<style>${STYLE}</style>
</head>
<body>
<header class="banner ${met ? 'met' : 'missed'}"><h1>${met ? 'The agreement was met' : `Credit: ${report.credit_usd} USD`}</h1>
<p>${report.month} · ${escaped(report.consumer)} · ${final ? `final, of ${moment(report.made_at)}` : `an estimate up to ${moment(report.until)}: nothing is credited yet`}</p></header>
<main>
<section><h2>What was measured</h2>
${facts([
  ['Uptime', share(report.uptime_ppm)],
  [`Promised (${escaped(terms.name)})`, share(terms.availability_ppm)],
  ['Minutes', `${report.minutes}`],
  ['Unavailable', `${report.unavailable_minutes}`],
  ['Of these excluded', `${report.excluded_minutes}`],
  ['Nobody measured, counted as available', `${report.unmeasured_minutes}`],
])}
${list('Unavailable', report.unavailable)}
${list('The whole market was down', report.market_down)}
${list('Nothing was agreed for', report.not_agreed)}
${list(`First token slower than ${terms.latency_credit.ttft_p95_ms} ms (p95)`, report.slow_hours)}</section>
<section><h2>Credit</h2>
${facts([
  ['Paid for the month', `${report.fee_usd} USD`],
  ['For availability', basis(report.availability_basis_points)],
  ['For latency', basis(report.latency_basis_points)],
  [`Together, at most ${basis(terms.cap_basis_points)}`, basis(report.basis_points)],
  ['Credit', `${report.credit_usd} USD`],
  ...(final
    ? ([
        ['Paid by the market', `${report.paid_by.market_usd} USD`],
        ['Paid by stakes of providers', `${report.paid_by.stakes_usd} USD`],
      ] as const)
    : []),
])}</section>
<section><h2>What does not count</h2>
${report.exclusions.length + report.not_counted.length === 0 ? '<p class="quiet">Nothing was excluded.</p>' : ''}
${report.exclusions
  .map(
    (each) =>
      `<article><h3>${escaped(each.kind)} <code>${escaped(each.id)}</code></h3>
<p class="quiet">${moment(each.from)} to ${moment(each.until)} · ${each.refused === null ? `takes ${each.minutes} minutes out` : `takes nothing out: ${escaped(each.refused)}`}</p>
<p>${escaped(each.evidence)}</p></article>`,
  )
  .join('')}
${report.not_counted
  .map(
    (each) =>
      `<article><h3>${escaped(each.kind)}</h3><p class="quiet">${each.requests} requests · ${escaped(each.evidence)}</p></article>`,
  )
  .join('')}</section>
</main>
<footer><p class="quiet">Computed from inputs with the digest <code>${report.inputs_digest}</code>. Times are UTC.</p></footer>
</body>
</html>
`;
}

/** Longer lists are in the JSON. */
const LISTED = 200;

function facts(rows: readonly (readonly [string, string])[]): string {
  return `<dl>${rows.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join('')}</dl>`;
}

function list(title: string, stretches: readonly { from: string; until: string }[]): string {
  if (stretches.length === 0) return '';
  const rest = stretches.length - LISTED;
  return `<h3>${title}</h3><ul>${stretches
    .slice(0, LISTED)
    .map(({ from, until }) => `<li>${moment(from)} to ${moment(until)}</li>`)
    .join('')}${rest > 0 ? `<li>and ${rest} more</li>` : ''}</ul>`;
}

/** Parts per million as a percentage, exact. */
function share(ppm: number): string {
  return `${Math.floor(ppm / 10_000)}.${(ppm % 10_000).toString().padStart(4, '0')} %`;
}

function basis(points: number): string {
  return `${points / 100} %`;
}

function moment(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif;
  --ground: #fff; --ink: #1c2430; --soft: #5b6675; --line: #dfe3e8; --card: #f7f8fa; --good: #1a7f4b; --poor: #c4302b; }
@media (prefers-color-scheme: dark) { :root { --ground: #11151b; --ink: #e6eaf0; --soft: #9aa5b4; --line: #2a323d;
  --card: #181e26; --good: #3fb27f; --poor: #ef6a64; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 48rem; padding: 1rem; background: var(--ground); color: var(--ink); overflow-wrap: anywhere; }
h1, h2, h3, p { margin: 0; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; } h3 { font-size: .95rem; margin-top: .5rem; }
.quiet { color: var(--soft); font-size: .85rem; }
.banner { border-radius: .5rem; padding: 1rem 1.25rem; background: var(--card); border-left: .4rem solid var(--good); }
.banner.missed { border-color: var(--poor); }
article { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin-bottom: .75rem; background: var(--card); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .5rem 1rem; margin: .5rem 0; }
dt { font-size: .75rem; color: var(--soft); } dd { margin: 0; font-variant-numeric: tabular-nums; }
ul { margin: .25rem 0; padding-left: 1.1rem; font-size: .9rem; font-variant-numeric: tabular-nums; }
footer { margin: 2rem 0 1rem; }
`;

/** What the page may do: show itself, to whom it is about. */
export const SLA_PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};
