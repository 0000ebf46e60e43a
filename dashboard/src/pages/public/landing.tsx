import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ArrowRight, Boxes, Coins, Gauge, type LucideIcon, Route, ShieldCheck } from 'lucide-react';
import { useEffect } from 'react';
import { market } from '../../api.ts';
import { ButtonLink } from '../../parts/button.tsx';
import { CodeBlock } from '../../parts/code.tsx';
import { DataTable } from '../../parts/data-table.tsx';
import { plural, short, usd, whole } from '../../parts/format.ts';
import { Card } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { useMeasuredModels } from './figures.ts';
import { MODEL_COLUMNS } from './model-cells.tsx';
import { samplesFor } from './samples.ts';

const COLUMNS = [
  MODEL_COLUMNS.name,
  MODEL_COLUMNS.input,
  MODEL_COLUMNS.output,
  MODEL_COLUMNS.ttft,
  MODEL_COLUMNS.speed,
  MODEL_COLUMNS.state,
];
const SHOWN = 8;

/** The market on one screen: what it is, how to call it, and how it goes right now. */
export default function Landing() {
  const { models, error, retry } = useMeasuredModels();
  const network = useQuery(market.network()).data;
  const days = useQuery(market.history()).data?.days;
  useEffect(() => {
    document.title = 'Cygnet: an open market for AI inference';
  }, []);
  const example = models?.find((model) => model.category === 'llm')?.id ?? 'cygnet-nano';
  return (
    <div className="space-y-16">
      <section className="grid items-center gap-x-14 gap-y-10 pt-4 lg:grid-cols-[minmax(0,1fr)_minmax(0,29rem)] lg:pt-10">
        <div>
          <h1 className="text-4xl leading-[1.08] font-semibold tracking-[-0.03em] sm:text-5xl">
            Open models, served by everyone’s GPUs.
          </h1>
          <p className="mt-5 max-w-xl text-xl leading-relaxed text-soft">
            One OpenAI-compatible endpoint in front of an open market. Owners of GPUs compete for each
            request; the market routes it, measures it, and bills it to the token.
          </p>
          <div className="mt-8 flex flex-wrap gap-3">
            <ButtonLink to="/sign-up" kind="primary" size="lg">
              Get an API key
            </ButtonLink>
            <ButtonLink to="/playground" size="lg">
              Try it without one
            </ButtonLink>
          </div>
          <p className="mt-5 text-sm text-faint">
            Change the base URL and the key; every OpenAI client goes on working.
          </p>
        </div>
        <CodeBlock samples={samplesFor({ id: example, category: 'llm' })} label="A first call" />
      </section>

      <section aria-label="The market now">
        <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
          <Stat
            name="Tokens, last 24 hours"
            value={network && short(network.tokens_24h)}
            hint={days && `${short(sum(days.map((day) => day.tokens)))} in 30 days`}
            trend={days?.map((day) => day.tokens)}
          />
          <Stat
            name="Requests, last 24 hours"
            value={network && short(network.requests_24h)}
            hint={days && `${short(sum(days.map((day) => day.requests)))} in 30 days`}
            trend={days?.map((day) => day.requests)}
          />
          <Stat
            name="Providers online"
            value={network && whole(network.online_providers)}
            hint={network && plural(network.online_nodes, 'node')}
          />
          <Stat
            name="Models served now"
            value={network && whole(network.models_available)}
            hint={network && `of ${whole(network.models)} on sale`}
          />
        </div>
      </section>

      <section>
        <h2 className="text-2xl font-semibold">How a request goes</h2>
        <ol className="mt-5 grid gap-3 sm:grid-cols-2 lg:grid-cols-4">
          {STEPS.map(({ icon: Icon, title, words }, place) => (
            <li key={title} className="rounded-xl border border-line bg-surface p-5 shadow-low">
              <div className="flex items-center justify-between">
                <Icon size={20} className="text-accent" aria-hidden />
                <span className="figures text-sm text-faint">{place + 1}</span>
              </div>
              <h3 className="mt-4 text-lg font-semibold">{title}</h3>
              <p className="mt-1 text-soft">{words}</p>
            </li>
          ))}
        </ol>
      </section>

      <section>
        <div className="mb-4 flex flex-wrap items-end justify-between gap-3">
          <div>
            <h2 className="text-2xl font-semibold">On the market</h2>
            <p className="text-soft">
              Prices are dollars per million tokens; speeds are measured, not claimed.
            </p>
          </div>
          <Link
            to="/models"
            className="inline-flex items-center gap-1 font-medium text-accent hover:underline"
          >
            All models <ArrowRight size={16} aria-hidden />
          </Link>
        </div>
        <Card flush className="overflow-hidden">
          {error !== null && models === undefined ? (
            <Failure error={error} retry={retry} />
          ) : (
            <DataTable
              caption="Models of the market"
              columns={COLUMNS}
              rows={models?.slice(0, SHOWN)}
              rowKey={(model) => model.id}
              skeletonRows={SHOWN}
              empty={
                <Empty icon={Boxes} title="No models are on sale yet">
                  Whoever runs this market adds them to its catalogue.
                </Empty>
              }
            />
          )}
        </Card>
      </section>

      <section className="grid items-center gap-8 rounded-2xl border border-line bg-surface p-6 shadow-low sm:p-10 lg:grid-cols-[minmax(0,1fr)_minmax(0,26rem)]">
        <div>
          <h2 className="text-2xl font-semibold">Have a GPU? Let it earn.</h2>
          <p className="mt-2 max-w-xl text-lg text-soft">
            The agent dials out, so it needs no public address. It finds the model servers you run, passes a
            benchmark, and is paid for every token it delivers.
            {days && sum(days.map((day) => day.revenue)) > 0 && (
              <> Consumers spent {usd(sum(days.map((day) => day.revenue)))} here in the last 30 days.</>
            )}
          </p>
          <div className="mt-6 flex flex-wrap gap-3">
            <ButtonLink to="/sign-up" search={{ to: '/provider/join' }}>
              Become a provider
            </ButtonLink>
            <ButtonLink to="/leaderboard" kind="quiet">
              See who serves
            </ButtonLink>
          </div>
        </div>
        <CodeBlock
          label="Start the agent"
          samples={[
            {
              name: 'Terminal',
              code: `# once: looks around, makes a key\ncygnet agent setup --market ${location.origin}\n\n# serve what was found\ncygnet agent run\n\n# what it serves and earns\ncygnet agent earnings`,
            },
          ]}
        />
      </section>
    </div>
  );
}

const STEPS: readonly { icon: LucideIcon; title: string; words: string }[] = [
  {
    icon: Route,
    title: 'Routed',
    words: 'The best of the providers that serve the model now: healthy, fast, and at your price.',
  },
  {
    icon: ShieldCheck,
    title: 'Kept going',
    words: 'If a provider fails, the next one takes over before you notice. Failures cost nothing.',
  },
  {
    icon: Gauge,
    title: 'Measured',
    words: 'First token, speed and errors are measured at the gateway, and published as they are.',
  },
  {
    icon: Coins,
    title: 'Settled',
    words: 'Every token is counted by us, charged exactly, and paid out with a proof.',
  },
];

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
