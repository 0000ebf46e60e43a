import { useQuery } from '@tanstack/react-query';
import { Network, Plus } from 'lucide-react';
import { useState } from 'react';
import type { OperatorEndpoint } from '#wire/operator.ts';
import { market } from '../../api.ts';
import { Badge, StateDot, type Tone } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { Select, TextArea, TextField } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { plural, price } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { operator, useOperate } from './api.ts';
import { ProviderLink } from './pieces.tsx';

const HEALTH: Readonly<Record<OperatorEndpoint['health'], { tone: Tone; words: string }>> = {
  healthy: { tone: 'good', words: 'Healthy' },
  unhealthy: { tone: 'bad', words: 'Out of order' },
  unchecked: { tone: 'neutral', words: 'Not probed yet' },
};

/** Servers elsewhere that stand behind the market's own agents. */
export default function Endpoints() {
  const query = useQuery(operator.endpoints());
  return (
    <>
      <PageHead title="Endpoints" actions={<Add />}>
        OpenAI-compatible servers elsewhere. They serve where no agent can, and earn like one.
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-72 rounded-xl" />}>
        {({ endpoints }) =>
          endpoints.length === 0 ? (
            <Card>
              <Empty icon={Network} title="No endpoint yet" action={<Add />}>
                Give the address of a server, its key, and the models it serves. It is probed at once, and its
                key is sealed.
              </Empty>
            </Card>
          ) : (
            <div className="space-y-4">
              {endpoints.map((each) => (
                <Endpoint key={each.id} endpoint={each} />
              ))}
            </div>
          )
        }
      </Loaded>
    </>
  );
}

function Endpoint({ endpoint }: { endpoint: OperatorEndpoint }) {
  const operate = useOperate();
  const [busy, setBusy] = useState(false);
  const { tone, words } = HEALTH[endpoint.health];
  const probe = async (): Promise<void> => {
    setBusy(true);
    try {
      const { health, because } = await operate<OperatorEndpoint>('POST', `/endpoints/${endpoint.id}/check`);
      if (health === 'healthy') toast.done(`${endpoint.name} answers.`);
      else toast.failed(`${endpoint.name}: ${because ?? 'it does not answer.'}`);
    } catch (error) {
      toast.failed(error instanceof Error ? error.message : 'It did not work.');
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card
      title={
        <span className="flex flex-wrap items-center gap-x-3">
          {endpoint.name}
          <span className="text-base font-normal">
            <StateDot tone={tone}>{words}</StateDot>
          </span>
        </span>
      }
      hint={
        <>
          <span className="font-mono wrap-anywhere">{endpoint.url}</span> by{' '}
          <ProviderLink id={endpoint.provider} name={endpoint.provider_name} />
        </>
      }
      actions={
        <>
          <Button size="sm" busy={busy} onClick={() => void probe()}>
            Probe now
          </Button>
          <ConfirmButton
            label="Remove"
            title={`Remove ${endpoint.name}?`}
            act={async () => {
              await operate('DELETE', `/endpoints/${endpoint.id}`);
              toast.done(`${endpoint.name} is removed.`);
            }}
          >
            Requests that run are finished; new ones go elsewhere. What it earned stays with its provider.
          </ConfirmButton>
        </>
      }
    >
      {endpoint.because !== null && (
        <p className="mb-3 rounded-lg bg-bad-wash px-3 py-2 text-bad">{endpoint.because}</p>
      )}
      <p className="figures mb-3 text-sm text-soft">
        At most {plural(endpoint.capacity, 'request')} at once,{' '}
        {endpoint.has_key ? 'with a key' : 'without a key'},{' '}
        {endpoint.checked_at === null ? (
          'never probed'
        ) : (
          <>
            probed <Time at={endpoint.checked_at} as="ago" />
          </>
        )}
      </p>
      <ul className="divide-y divide-line border-t border-line">
        {endpoint.models.map((each) => (
          <li
            key={each.model}
            className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 py-2.5 last:pb-0"
          >
            <div className="min-w-0">
              <p className="font-mono text-sm wrap-anywhere">{each.model}</p>
              <p className="text-sm text-faint">
                there called {each.upstream_name}; {each.operations.join(', ')}
              </p>
            </div>
            <div className="flex flex-wrap items-center gap-3">
              {each.listed === false && <Badge tone="warn">It does not list this</Badge>}
              <span className="figures text-sm">{askWords(each.ask)}</span>
              <Ask endpoint={endpoint} model={each.model} ask={each.ask} />
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}

type AskOf = OperatorEndpoint['models'][number]['ask'];

function askWords(ask: AskOf): string {
  if (ask === null) return 'asks the list';
  if ('request_price' in ask) return `asks ${price(ask.request_price)} a request`;
  return `asks ${price(ask.input_price)} in, ${price(ask.output_price)} out`;
}

function Ask({ endpoint, model, ask }: { endpoint: OperatorEndpoint; model: string; ask: AskOf }) {
  const operate = useOperate();
  const listed = useQuery(market.models()).data?.find(({ id }) => id === model);
  const byRequest =
    listed !== undefined &&
    listed.category !== 'llm' &&
    listed.category !== 'embedding' &&
    listed.category !== 'multimodal';
  const [first, setFirst] = useState('');
  const [second, setSecond] = useState('');
  return (
    <FormButton
      label="Set ask"
      title={`What it asks for ${model}`}
      confirm="Set it"
      kind="quiet"
      onOpen={() => {
        setFirst(ask === null ? '' : 'request_price' in ask ? ask.request_price : ask.input_price);
        setSecond(ask === null || 'request_price' in ask ? '' : ask.output_price);
      }}
      act={async () => {
        const wish = byRequest ? { request_price: first } : { input_price: first, output_price: second };
        await operate('PUT', `/endpoints/${endpoint.id}/ask`, { model, ask: first === '' ? null : wish });
        toast.done('The ask is set.');
      }}
    >
      {(errorOf) => (
        <>
          <p className="text-soft">At most the listed price. Empty: the list.</p>
          <TextField
            label={byRequest ? 'Dollars a request' : 'Input, dollars per million tokens'}
            inputMode="decimal"
            value={first}
            onChange={setFirst}
            error={errorOf('ask') ?? errorOf('ask.input_price')}
          />
          {!byRequest && (
            <TextField
              label="Output, dollars per million tokens"
              inputMode="decimal"
              required={first !== ''}
              value={second}
              onChange={setSecond}
              error={errorOf('ask.output_price')}
            />
          )}
        </>
      )}
    </FormButton>
  );
}

function Add() {
  const operate = useOperate();
  const providers =
    useQuery(operator.providers()).data?.providers.filter(({ status }) => status !== 'removed') ?? [];
  const [provider, setProvider] = useState('');
  const [name, setName] = useState('');
  const [url, setUrl] = useState('');
  const [key, setKey] = useState('');
  const [capacity, setCapacity] = useState('10');
  const [models, setModels] = useState('');
  return (
    <FormButton
      label="Add an endpoint"
      title="Add an endpoint"
      confirm="Add and probe"
      kind="primary"
      size="md"
      icon={Plus}
      wide
      onOpen={() => {
        setProvider(providers[0]?.id ?? '');
        setName('');
        setUrl('');
        setKey('');
        setCapacity('10');
        setModels('');
      }}
      act={async () => {
        const made = await operate<OperatorEndpoint>('POST', `/providers/${provider}/endpoints`, {
          name,
          url,
          ...(key !== '' && { api_key: key }),
          capacity: Number(capacity),
          models: readModels(models),
        });
        if (made.health === 'healthy') toast.done(`${made.name} answers and may serve.`);
        else
          toast.failed(
            `${made.name} is added, and does not answer yet: ${made.because ?? 'it was not reached.'}`,
          );
      }}
    >
      {(errorOf) => (
        <>
          <div className="grid gap-4 sm:grid-cols-2">
            <Select
              label="Whose it is"
              value={provider}
              onChange={setProvider}
              options={providers.map(({ id, name: called }) => ({
                value: id,
                label: called === '' ? id : called,
              }))}
              hint="Earns what it serves."
            />
            <TextField label="Name" required value={name} onChange={setName} error={errorOf('name')} />
          </div>
          <TextField
            label="Base address"
            type="url"
            placeholder="https://api.example.com/v1"
            hint="As an SDK takes it."
            required
            value={url}
            onChange={setUrl}
            error={errorOf('url')}
          />
          <div className="grid gap-4 sm:grid-cols-2">
            <TextField
              label="Its key"
              type="password"
              autoComplete="off"
              hint="Sealed at once, and never shown again."
              value={key}
              onChange={setKey}
              error={errorOf('api_key')}
            />
            <TextField
              label="Requests at once, at most"
              inputMode="numeric"
              required
              value={capacity}
              onChange={setCapacity}
              error={errorOf('capacity')}
            />
          </div>
          <TextArea
            label="Models"
            hint="One a line: the market’s name, and after = what the server calls it, where that is another."
            rows={4}
            required
            placeholder={'zai-org/GLM-4.7-Flash = glm-4.7-flash'}
            className="font-mono"
            value={models}
            onChange={setModels}
            error={errorOf('models')}
          />
        </>
      )}
    </FormButton>
  );
}

function readModels(text: string): { model: string; upstream_name?: string }[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [model = '', upstream] = line.split('=').map((part) => part.trim());
      return upstream === undefined || upstream === '' ? { model } : { model, upstream_name: upstream };
    });
}
