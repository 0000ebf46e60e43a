import { ArrowDown, ArrowUp, ChevronsUpDown, Download } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import { ButtonLink } from './button.tsx';
import { cx } from './class-names.ts';
import { Skeleton } from './states.tsx';

/** One column: how a row is shown in it and, where it can be sorted, by what. */
export interface Column<Row> {
  readonly name: string;
  /** Said only to readers of screens; the head stays empty. */
  readonly hideName?: boolean;
  readonly show: (row: Row) => ReactNode;
  /** Null stands last, in whatever order. */
  readonly sort?: (row: Row) => string | number | null;
  /** Numbers stand right, so that their places line up. */
  readonly number?: boolean;
  /** Left out where the screen is narrow. */
  readonly wide?: boolean;
}

/**
 * A table: sortable by its heads, with a head that stays while it scrolls. Where there are no rows, `empty` says what to do.
 * While `rows` is undefined it is loading, and as tall as it will be.
 */
export function DataTable<Row>({
  caption,
  columns,
  rows,
  rowKey,
  empty,
  onOpen,
  first,
  skeletonRows = 6,
}: {
  /** What the table is about, for readers of screens. */
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[] | undefined;
  rowKey: (row: Row) => string;
  empty: ReactNode;
  /** A click anywhere on a row; its first cell should hold a link or button that does the same for the keyboard. */
  onOpen?: (row: Row) => void;
  /** The column that it is sorted by at first; descending where that is a number. */
  first?: string;
  skeletonRows?: number;
}) {
  const [order, setOrder] = useState<{ name: string; down: boolean } | undefined>(() =>
    first === undefined
      ? undefined
      : { name: first, down: columns.find(({ name }) => name === first)?.number ?? false },
  );
  const sorted = useMemo(() => {
    const by = columns.find(({ name }) => name === order?.name)?.sort;
    if (!rows || !by || !order) return rows;
    return rows.toSorted((a, b) => compare(by(a), by(b), order.down));
  }, [rows, columns, order]);

  if (sorted?.length === 0) return empty;
  return (
    <div className="relative overflow-x-auto" role="region" aria-label={caption} tabIndex={0}>
      <table
        className="w-full border-separate border-spacing-0"
        aria-busy={sorted === undefined || undefined}
      >
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => {
              const active = order?.name === column.name ? (order.down ? 'descending' : 'ascending') : 'none';
              return (
                <th
                  key={column.name}
                  scope="col"
                  aria-sort={column.sort ? active : undefined}
                  className={cx(
                    'sticky top-0 z-1 border-b border-line bg-surface px-2.5 py-2.5 text-xs md:px-4 font-medium whitespace-nowrap text-soft first:pl-5 last:pr-5',
                    column.number ? 'text-right' : 'text-left',
                    column.wide && 'max-md:hidden',
                  )}
                >
                  {column.sort ? (
                    <button
                      type="button"
                      className="-mx-1.5 inline-flex items-center gap-1 rounded px-1.5 py-0.5 hover:bg-hover hover:text-ink"
                      onClick={() =>
                        setOrder({
                          name: column.name,
                          down: active === 'none' ? (column.number ?? false) : active === 'ascending',
                        })
                      }
                    >
                      {column.name}
                      {active === 'none' ? (
                        <ChevronsUpDown size={12} className="text-faint" aria-hidden />
                      ) : active === 'descending' ? (
                        <ArrowDown size={12} aria-hidden />
                      ) : (
                        <ArrowUp size={12} aria-hidden />
                      )}
                    </button>
                  ) : column.hideName ? (
                    <span className="sr-only">{column.name}</span>
                  ) : (
                    column.name
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {sorted
            ? sorted.map((row) => (
                // The keyboard opens a row by the link in its first cell.
                <tr
                  key={rowKey(row)}
                  className={cx('group transition-colors', onOpen && 'cursor-pointer hover:bg-hover')}
                  onClick={
                    onOpen &&
                    ((event) => {
                      if (!(event.target as Element).closest('a, button, input')) onOpen(row);
                    })
                  }
                >
                  {columns.map((column) => (
                    <td key={column.name} className={cell(column)}>
                      {column.show(row)}
                    </td>
                  ))}
                </tr>
              ))
            : Array.from({ length: skeletonRows }, (_, place) => (
                <tr key={place}>
                  {columns.map((column) => (
                    <td key={column.name} className={cell(column)}>
                      <Skeleton className={cx('my-0.5', column.number ? 'ml-auto w-14' : 'w-28')} />
                    </td>
                  ))}
                </tr>
              ))}
        </tbody>
      </table>
    </div>
  );
}

function cell(column: Pick<Column<never>, 'number' | 'wide'>): string {
  return cx(
    'border-b border-line px-2.5 py-3 group-last:border-0 first:pl-5 last:pr-5 md:px-4',
    column.number ? 'figures text-right whitespace-nowrap' : 'text-left',
    column.wide && 'max-md:hidden',
  );
}

function compare(a: string | number | null, b: string | number | null, down: boolean): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  const order =
    typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en');
  return down ? -order : order;
}

/** The same as a file, where the server has it. */
export function CsvLink({ href }: { href: string }) {
  return (
    <ButtonLink href={href} size="sm" icon={Download}>
      CSV
    </ButtonLink>
  );
}
