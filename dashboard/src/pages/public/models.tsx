import { useNavigate } from '@tanstack/react-router';
import { SearchX } from 'lucide-react';
import { Button } from '../../parts/button.tsx';
import { DataTable } from '../../parts/data-table.tsx';
import { Checkbox, Segments, TextField } from '../../parts/form.tsx';
import { plural } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { CATEGORIES, useMeasuredModels } from './figures.ts';
import { MODEL_COLUMNS } from './model-cells.tsx';

const COLUMNS = Object.values(MODEL_COLUMNS);
const CHOICES = [
  { value: 'all', label: 'All' },
  ...Object.entries(CATEGORIES).map(([value, label]) => ({ value, label })),
];

/** Everything on sale: found by name, narrowed by kind, sorted by what matters. */
export default function Models() {
  const { models, error, retry } = useMeasuredModels();
  const navigate = useNavigate();
  const [wish, setWish] = useUrlState('q', '');
  const [category, setCategory] = useUrlState('category', 'all');
  const [served, setServed] = useUrlState('served', 'no');
  const words = wish.toLowerCase();
  const found = models?.filter(
    (model) =>
      (category === 'all' || model.category === category) &&
      (served === 'no' || model.available) &&
      `${model.name} ${model.id} ${model.slug}`.toLowerCase().includes(words),
  );
  return (
    <>
      <PageHead title="Models">
        {models === undefined
          ? 'Everything on sale, with prices and what was measured.'
          : `${plural(models.length, 'model')} on sale, ${models.filter((model) => model.available).length} served right now. First token and speed are medians of the last 24 hours, measured at the gateway.`}
      </PageHead>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <div className="w-64 max-sm:w-full">
          <TextField
            label="Search models"
            hideLabel
            type="search"
            placeholder="Search by name or id"
            value={wish}
            onChange={setWish}
          />
        </div>
        <Segments label="Kind of model" value={category} options={CHOICES} onChange={setCategory} />
        <Checkbox
          label="Served now"
          checked={served === 'yes'}
          onChange={(checked) => setServed(checked ? 'yes' : 'no')}
        />
      </div>
      <Card flush className="overflow-hidden">
        {error !== null && models === undefined ? (
          <Failure error={error} retry={retry} />
        ) : (
          <DataTable
            caption="Models"
            columns={COLUMNS}
            rows={found}
            rowKey={(model) => model.id}
            onOpen={(model) => void navigate({ to: `/models/${model.id}` })}
            first="Now"
            skeletonRows={12}
            empty={
              <Empty
                icon={SearchX}
                title="No model fits"
                action={
                  <Button onClick={() => void navigate({ to: '/models', search: {}, replace: true })}>
                    Show all models
                  </Button>
                }
              >
                Try another word, another kind, or models that nobody serves right now.
              </Empty>
            }
          />
        )}
      </Card>
    </>
  );
}
