import { ImageIcon } from 'lucide-react';
import { useState } from 'react';
import { call, type MarketModel } from '../../../api.ts';
import { Button } from '../../../parts/button.tsx';
import { Problem, TextArea, useForm } from '../../../parts/form.tsx';
import { duration, price } from '../../../parts/format.ts';
import { Card } from '../../../parts/page.tsx';
import { Empty } from '../../../parts/states.tsx';
import { ticksMs } from '../../../surroundings.ts';

/** A picture from words. The market hands pictures out inside the answer, so nothing is fetched from elsewhere. */
export function ImageMaker({ model, secret }: { model: MarketModel; secret: string | undefined }) {
  const [prompt, setPrompt] = useState('');
  const [made, setMade] = useState<{ data: string; tookMs: number; prompt: string }>();
  const form = useForm(async () => {
    const begun = ticksMs();
    const answer = await call<{ data: { b64_json?: string }[] }>('POST', '/v1/images/generations', {
      body: { model: model.id, prompt, response_format: 'b64_json' },
      key: secret,
    });
    const data = answer.data[0]?.b64_json;
    if (data === undefined) throw new Error('The provider sent no picture.');
    setMade({ data, tookMs: ticksMs() - begun, prompt });
  });
  return (
    <Card
      title={model.name}
      hint={model.pricing['request'] && `${price(model.pricing['request'])} a picture`}
    >
      <form onSubmit={form.onSubmit} className="space-y-3">
        <TextArea label="What the picture shows" rows={3} value={prompt} onChange={setPrompt} />
        <Problem>{form.problem}</Problem>
        <Button
          type="submit"
          kind="primary"
          busy={form.busy}
          disabled={prompt.trim() === '' || secret === undefined}
        >
          Make it
        </Button>
        {secret === undefined && (
          <p className="text-sm text-soft">Pictures need a key; use one on the left.</p>
        )}
      </form>
      {made ? (
        <figure className="mt-5">
          <img
            src={`data:image/png;base64,${made.data}`}
            alt={made.prompt}
            className="max-w-full rounded-lg"
          />
          <figcaption className="mt-2 text-sm text-soft">{duration(made.tookMs)}</figcaption>
        </figure>
      ) : (
        <Empty icon={ImageIcon} title="No picture yet">
          Say what it shows, and make it.
        </Empty>
      )}
    </Card>
  );
}
