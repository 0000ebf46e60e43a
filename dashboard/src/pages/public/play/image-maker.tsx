import { ImageIcon } from 'lucide-react';
import { useState } from 'react';
import type { MarketModel } from '../../../api.ts';
import { Button } from '../../../parts/button.tsx';
import { Problem, TextArea, useForm } from '../../../parts/form.tsx';
import { price } from '../../../parts/format.ts';
import { Card } from '../../../parts/page.tsx';
import { Empty } from '../../../parts/states.tsx';
import { Took } from './took.tsx';
import { askWhole, type Whole } from './whole.ts';

interface Pictures {
  readonly data: readonly { readonly b64_json?: string }[];
}

/** A picture from words. The market hands pictures out inside the answer, so nothing is fetched from elsewhere. */
export function ImageMaker({ model, secret }: { model: MarketModel; secret: string | undefined }) {
  const [prompt, setPrompt] = useState('');
  const [made, setMade] = useState<Whole<Pictures> & { picture: string; prompt: string }>();
  const form = useForm(async () => {
    const whole = await askWhole<Pictures>(
      '/v1/images/generations',
      { model: model.id, prompt, response_format: 'b64_json' },
      secret,
    );
    const picture = whole.answer.data[0]?.b64_json;
    if (picture === undefined) throw new Error('The provider sent no picture.');
    setMade({ ...whole, picture, prompt });
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
            src={`data:image/png;base64,${made.picture}`}
            alt={made.prompt}
            className="max-h-144 min-h-32 min-w-32 max-w-full rounded-lg border border-line bg-sunken object-contain"
          />
          <figcaption>
            <Took of={made} />
          </figcaption>
        </figure>
      ) : (
        <Empty icon={ImageIcon} title="No picture yet">
          Say what it shows, and make it.
        </Empty>
      )}
    </Card>
  );
}
