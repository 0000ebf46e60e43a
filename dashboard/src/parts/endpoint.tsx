import { useQuery } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { EndpointAnswer } from '#wire/console.ts';
import { type Method, market } from '../api.ts';
import { Badge, StateDot, type Tone } from './badge.tsx';
import { Button } from './button.tsx';
import { cx } from './class-names.ts';
import { ConfirmButton } from './dialog.tsx';
import { TextArea, TextField } from './form.tsx';
import { FormButton } from './form-button.tsx';
import { plural, price } from './format.ts';
import { Card } from './page.tsx';
import { Time } from './time.tsx';
import { toast } from './toast.tsx';

/** External endpoints as both see them: the provider whose they are, and the operator. */

/** Does something in the name of whoever looks (`path` begins at its own part of the API), and has everything asked anew. */
export type Work = <T>(method: Exclude<Method, 'GET'>, path: string, body?: unknown) => Promise<T>;

const HEALTH: Readonly<Record<EndpointAnswer['health'], { tone: Tone; words: string }>> = {
  healthy: { tone: 'good', words: 'Healthy' },
  unhealthy: { tone: 'bad', words: 'Out of order' },
  unchecked: { tone: 'neutral', words: 'Not probed yet' },
};

/** One, with what it serves, whether it answers, and what may be done about it. */
export function EndpointCard({
  endpoint,
  work,
  owner,
}: {
  endpoint: EndpointAnswer;
  work: Work;
  /** Whose it is, where that is not clear. */
  owner?: ReactNode;
}) {
  const [busy, setBusy] = useState(false);
  const { tone, words } = HEALTH[endpoint.health];
  const probe = async (): Promise<void> => {
    setBusy(true);
    try {
      const { health, because } = await work<EndpointAnswer>('POST', `/endpoints/${endpoint.id}/check`);
      // One that answered until now is given another probe before it is out of order.
      if (health === 'healthy' && because === null) toast.done(`${endpoint.name} answers.`);
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
          <span className="font-mono wrap-anywhere">{endpoint.url}</span>
          {owner !== undefined && <> by {owner}</>}
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
              await work('DELETE', `/endpoints/${endpoint.id}`);
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
              <Ask endpoint={endpoint} model={each.model} ask={each.ask} work={work} />
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}

type AskOf = EndpointAnswer['models'][number]['ask'];

function askWords(ask: AskOf): string {
  if (ask === null) return 'asks the list';
  if ('request_price' in ask) return `asks ${price(ask.request_price)} a request`;
  return `asks ${price(ask.input_price)} in, ${price(ask.output_price)} out`;
}

function Ask({
  endpoint,
  model,
  ask,
  work,
}: {
  endpoint: EndpointAnswer;
  model: string;
  ask: AskOf;
  work: Work;
}) {
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
        await work('PUT', `/endpoints/${endpoint.id}/ask`, { model, ask: first === '' ? null : wish });
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

/** Registers one, at `path` of the API. */
export function AddEndpoint({
  work,
  path,
  owner,
  onOpen,
}: {
  work: Work;
  path: string;
  /** Whose it is to be, where that is a choice. */
  owner?: ReactNode;
  onOpen?: () => void;
}) {
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
        onOpen?.();
        setName('');
        setUrl('');
        setKey('');
        setCapacity('10');
        setModels('');
      }}
      act={async () => {
        const made = await work<EndpointAnswer>('POST', path, {
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
          <div className={cx('grid gap-4', owner !== undefined && 'sm:grid-cols-2')}>
            {owner}
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
